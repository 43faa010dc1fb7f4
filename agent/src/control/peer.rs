//! Who is at the other end of a connection, by what the kernel noted when it was made, and who may ask.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// Groups that a process may have at most: `NGROUPS_MAX`, include/uapi/linux/limits.h.
const MOST_GROUPS: usize = 65_536;

/// Somebody at the other end. A container's own user ids are told as the host has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The group, and those beside it.
    pub groups: Vec<u32>,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guests {
    /// Whoever runs the agent, beside root.
    pub owner: u32,
    /// A group whose members may.
    pub group: Option<u32>,
}

impl Guests {
    /// Whether that one may.
    #[must_use]
    pub fn admit(self, peer: &Peer) -> bool {
        let Self { owner, group } = self;
        peer.uid == 0 || peer.uid == owner || group.is_some_and(|group| peer.groups.contains(&group))
    }
}

impl Peer {
    /// Who is at the other end of that connection: `uid` and `gid` are of its credentials.
    ///
    /// # Errors
    /// The kernel's, of a socket that is no unix socket.
    pub fn new(uid: u32, gid: u32, socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut groups = groups(socket)?;
        groups.push(gid);
        Ok(Self { uid, groups })
    }
}

/// The supplementary groups of who made the connection (`SO_PEERGROUPS`, since 4.13). Those of its process in `/proc` may be
/// another's by now.
#[expect(unsafe_code, reason = "neither std nor nix reads SO_PEERGROUPS")]
fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let bytes = size_of_val(groups.as_slice());
        let mut length = libc::socklen_t::try_from(bytes).map_err(io::Error::other)?;
        // SAFETY: `groups` has room for `length` bytes; the kernel writes no more, and says in `length` how many.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            groups.truncate(length as usize / size_of::<u32>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || groups.len() >= MOST_GROUPS {
            return Err(error);
        }
        groups.resize(MOST_GROUPS, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::{fd::AsFd as _, unix::net::UnixStream};

    use super::{Guests, Peer, groups};

    #[test]
    fn root_the_owner_and_members_of_the_group_may_ask() {
        let peer = |uid, groups: &[u32]| Peer { uid, groups: groups.to_vec() };
        let nobody = peer(65_534, &[65_534]);
        let (alone, group) = (Guests { owner: 7, group: None }, Guests { owner: 7, group: Some(42) });
        for (guests, peer, expected) in [
            (alone, peer(0, &[]), true),
            (alone, peer(0, &[65_534]), true),
            (alone, peer(7, &[1]), true),
            (alone, nobody.clone(), false),
            (alone, peer(1_000, &[0, 7, 42]), false),
            (group, nobody, false),
            (group, peer(1_000, &[42]), true),
            (group, peer(1_000, &[5, 6, 42, 7]), true),
            (group, peer(42, &[5]), false),
            (group, peer(1_000, &[]), false),
        ] {
            assert_eq!(guests.admit(&peer), expected, "{guests:?} {peer:?}");
        }
    }

    #[test]
    fn the_kernel_tells_our_own_groups() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let mut ours: Vec<u32> =
            nix::unistd::getgroups().expect("groups").into_iter().map(nix::unistd::Gid::as_raw).collect();
        let mut told = groups(one.as_fd()).expect("groups");
        ours.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, ours);
        let file = tempfile::tempfile().expect("a file");
        assert!(groups(file.as_fd()).is_err());
    }
}
