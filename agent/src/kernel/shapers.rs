//! Sends what comes from the host's end of a veth pair through another interface: by a pinned link each, after all other
//! programs there. Never makes the other interface, never knows its rate.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{
    maps::{HashMap, MapData},
    programs::{ProgramInfo, SchedClassifier, TcAttachType},
};
use plimsoll_common::names;

use super::{
    Error,
    maps::{absent_is_fine, entries, open},
    programs::SHAPER,
    sys::{self, Target},
    veths::{is_on, remove},
};

/// Directory of the links, beside the other kinds of pins.
pub(super) const SHAPERS: &str = "shapers";

/// Attaches and detaches.
#[derive(Debug)]
pub struct Shapers {
    program: OwnedFd,
    shaped: HashMap<MapData, u32, u32>,
    directory: PathBuf,
}

/// What is known of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shaped {
    /// Where its packets go.
    pub to: Option<u32>,
    /// Whether a link of ours is attached to it.
    pub linked: bool,
}

impl Shapers {
    /// Opens what is pinned in `pins`.
    ///
    /// # Errors
    /// It is missing, or the kernel's.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let place = pins.join("programs").join(SHAPER);
        Ok(Self {
            program: sys::object_get(&place).map_err(Error::pin("open", &place))?,
            shaped: open(&pins.join("maps"), names::SHAPED)?,
            directory: pins.join(SHAPERS),
        })
    }

    /// The program, for kernels without tcx links.
    #[must_use]
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Where the packets of an interface go, once the program is there.
    ///
    /// # Errors
    /// The kernel's: E2BIG when the map is full.
    pub fn point(&mut self, ifindex: u32, to: u32) -> Result<(), Error> {
        self.shaped.insert(ifindex, to, 0).map_err(Error::map("write", names::SHAPED))
    }

    /// Its packets go on as if nothing was there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unpoint(&mut self, ifindex: u32) -> Result<(), Error> {
        absent_is_fine(self.shaped.remove(&ifindex), names::SHAPED)
    }

    /// Attaches the program to an interface, after all others; one that is there already stays.
    ///
    /// # Errors
    /// The interface is gone, or the kernel's: EINVAL below 6.6.
    pub fn link(&self, ifindex: u32) -> Result<(), Error> {
        let pin = self.pin(ifindex);
        if is_on(&pin, ifindex) {
            return Ok(());
        }
        remove(&pin)?;
        let link = sys::link_create(self.program(), Target::TcxIngressLast(ifindex));
        let link = link.map_err(Error::pin("attach, for", &pin))?;
        sys::object_pin(&pin, link.as_fd()).map_err(Error::pin("pin", &pin))
    }

    /// Detaches it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unlink(&self, ifindex: u32) -> Result<(), Error> {
        remove(&self.pin(ifindex))
    }

    /// All interfaces that something is known of, by number; also those that are gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self) -> Result<BTreeMap<u32, Shaped>, Error> {
        let mut all: BTreeMap<u32, Shaped> = BTreeMap::new();
        for (ifindex, to) in entries(&self.shaped, names::SHAPED)? {
            all.entry(ifindex).or_default().to = Some(to);
        }
        let pins = match fs::read_dir(&self.directory) {
            // A set of pins that was made before there were limits.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            pins => pins.map_err(Error::pin("read", &self.directory))?,
        };
        for number in pins.flatten().filter_map(|pin| pin.file_name().to_str()?.parse().ok()) {
            all.entry(number).or_default().linked = is_on(&self.pin(number), number);
        }
        Ok(all)
    }

    /// Whether a program like ours is linked to an interface, whoever did that. Below 6.6 none can be.
    #[must_use]
    pub fn leads(interface: &str) -> bool {
        let programs = SchedClassifier::query_tcx(interface, TcAttachType::Ingress);
        let is_one = |program: &ProgramInfo| program.name_as_str() == Some(SHAPER);
        programs.is_ok_and(|(_, programs)| programs.iter().any(is_one))
    }

    fn pin(&self, ifindex: u32) -> PathBuf {
        self.directory.join(ifindex.to_string())
    }
}
