//! How qdiscs and classes are numbered, and which numbers are ours.

use std::fmt;

/// The number of a qdisc (`major:`) or of a class in it (`major:minor`), unique at its interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(u32);

impl Handle {
    /// Of the kernel's own qdiscs, which it puts where nobody put one.
    pub const NONE: Self = Self(0);
    /// Where the qdisc of a whole interface hangs (`TC_H_ROOT`).
    pub const ROOT: Self = Self(u32::MAX);
    /// Our qdisc at the root: "pl" in ASCII. Neither the kernel (from `8000:` up) nor anybody by hand (`1:`) chooses it.
    pub const SHAPER: Self = Self::new(0x706c, 0);
    /// The only class of a tbf that is [`Self::SHAPER`].
    pub const SHAPER_CLASS: Self = Self::SHAPER.class(1);
    /// Our queue below a tbf that is [`Self::SHAPER`].
    pub const QUEUE: Self = Self::new(0x706d, 0);

    /// What `major:minor` stands for.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }

    /// A class of this qdisc.
    #[must_use]
    pub const fn class(self, minor: u16) -> Self {
        Self(self.0 & 0xffff_0000 | minor as u32)
    }

    /// The qdisc that this is, or that this class is in.
    #[must_use]
    pub const fn qdisc(self) -> Self {
        self.class(0)
    }

    /// As the kernel takes it; a packet whose `skb->priority` is this goes to this class of an htb at the root.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What the kernel's number stands for.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// As `tc` prints it.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT {
            return f.write_str("root");
        }
        let (major, minor) = (self.0 >> 16, self.0 & 0xffff);
        if minor == 0 { write!(f, "{major:x}:") } else { write!(f, "{major:x}:{minor:x}") }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Handle;

    #[test]
    fn handles_are_shown_as_tc_shows_them() {
        let rows = [
            (Handle::NONE, "0:", 0),
            (Handle::ROOT, "root", 0xffff_ffff),
            (Handle::SHAPER, "706c:", 0x706c_0000),
            (Handle::SHAPER_CLASS, "706c:1", 0x706c_0001),
            (Handle::QUEUE, "706d:", 0x706d_0000),
            (Handle::new(0x8001, 0xfffe), "8001:fffe", 0x8001_fffe),
        ];
        for (handle, text, number) in rows {
            assert_eq!((handle.to_string().as_str(), handle.number()), (text, number));
            assert_eq!(Handle::from_number(number), handle);
        }
        assert_eq!(Handle::SHAPER_CLASS.qdisc(), Handle::SHAPER);
        assert_eq!(Handle::SHAPER_CLASS.class(0xffff), Handle::new(0x706c, 0xffff));
    }
}
