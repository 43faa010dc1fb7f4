//! Loads the programs that see packets. Those at sockets are attached here, once; those at veth pairs are only pinned, for
//! [`super::veths`]. Where a program cannot be had, the rest goes on without it.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use aya::programs::{CgroupSkb, SchedClassifier};

use super::{
    Error,
    load::{Loader, pin_anew},
    programs::{Place, SHAPER, TAPS, Tap},
    shapers::SHAPERS,
    sys::{self, Target},
    veths::VETHS,
};

/// No interface has this number: an attempt to attach there tells whether the kernel knows such links.
const NOWHERE: u32 = i32::MAX.cast_unsigned();

impl Loader {
    /// Loads them all, and puts them in the place of those that another build left. `cgroup2` is the root of the hierarchy
    /// whose sockets are counted; `None` where containers are in no cgroup of it.
    ///
    /// # Errors
    /// Pins cannot be made.
    pub fn taps(&mut self, cgroup2: Option<&Path>) -> Result<(), Error> {
        for tap in TAPS {
            // A kernel may have more than its version tells: links are tried.
            if let Some(reason) = left_out(tap.place, None, cgroup2.is_some()) {
                tracing::info!("{} left out: {reason}", tap.program);
                continue;
            }
            match self.tap(&tap, cgroup2) {
                Err(error @ Error::Program { .. }) => tracing::warn!("{} left out: {error}", tap.program),
                result => result?,
            }
        }
        self.shaper()
    }

    /// Loads what limits need at interfaces, and puts it in the place of what another build left there.
    fn shaper(&mut self) -> Result<(), Error> {
        let pins = self.pins().to_owned();
        let program: &mut SchedClassifier = self.program_mut(SHAPER)?;
        program.load().map_err(Error::program("load", SHAPER))?;
        let fd = program.fd().map_err(Error::program("open", SHAPER))?.as_fd();
        relink(&pins.join(SHAPERS), |_| true, fd)?;
        pin_anew(&pins, SHAPER, |path| program.pin(path))
    }

    fn tap(&mut self, tap: &Tap, cgroup2: Option<&Path>) -> Result<(), Error> {
        let &Tap { program: name, place, .. } = tap;
        let pins = self.pins().to_owned();
        if place.is_veth() {
            let program: &mut SchedClassifier = self.program_mut(name)?;
            program.load().map_err(Error::program("load", name))?;
            let fd = program.fd().map_err(Error::program("open", name))?.as_fd();
            match sys::link_create(fd, Target::TcxIngress(NOWHERE)) {
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                _ => {
                    tracing::info!("{name} left out: {NO_TCX}");
                    return Ok(());
                }
            }
            relink(&pins.join(VETHS), |name| name.starts_with(letter(place)), fd)?;
            return pin_anew(&pins, name, |path| program.pin(path));
        }
        let program: &mut CgroupSkb = self.program_mut(name)?;
        program.load().map_err(Error::program("load", name))?;
        let fd = program.fd().map_err(Error::program("open", name))?.as_fd();
        if let Some(cgroup2) = cgroup2 {
            attach_to_sockets(fd, name, place, cgroup2, &pins.join("links").join(name))?;
        }
        pin_anew(&pins, name, |path| program.pin(path))
    }
}

/// Why there is no program at interfaces.
const NO_TCX: &str = "this kernel has no tcx links (6.6 has): bytes come from the interfaces' own counters";
/// Why there is no program at sockets.
pub(super) const NO_CGROUP2: &str =
    "containers are in no cgroup of cgroup2, and the kernel knows sockets by that alone";

/// First kernel with tcx links.
const TCX: (u32, u32) = (6, 6);

/// Whether this kernel has tcx links.
#[must_use]
pub fn has_tcx() -> bool {
    super::plan::version(&super::plan::release()).is_none_or(|kernel| kernel >= TCX)
}

/// Why there will be no program at this place, as far as that can be told without trying.
#[must_use]
pub fn left_out(place: Place, kernel: Option<(u32, u32)>, cgroup2: bool) -> Option<&'static str> {
    let possible = if place.is_veth() { kernel.is_none_or(|kernel| kernel >= TCX) } else { cgroup2 };
    (!possible).then(|| reason(place, cgroup2))
}

/// Why a program at this place was not attached.
#[must_use]
pub fn reason(place: Place, counts_cgroup2: bool) -> &'static str {
    match (place.is_veth(), counts_cgroup2) {
        (true, _) => NO_TCX,
        (false, false) => NO_CGROUP2,
        (false, true) => "the kernel refused it; the agent's log says why",
    }
}

/// The letter that pins of links begin with.
const fn letter(place: Place) -> char {
    match place {
        Place::VethReceive | Place::SocketReceive => 'r',
        Place::VethTransmit | Place::SocketTransmit => 't',
    }
}

/// Puts a program behind those links in a directory that another build made for it.
fn relink(directory: &Path, is_its: impl Fn(&str) -> bool, program: BorrowedFd<'_>) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(Error::pin("read", directory))?;
    for entry in entries.flatten().filter(|entry| is_its(&entry.file_name().to_string_lossy())) {
        let path = entry.path();
        let link = sys::object_get(&path).map_err(Error::pin("open", &path))?;
        match sys::link_update(link.as_fd(), program) {
            // Its interface is gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {}
            result => result.map_err(Error::pin("update", path))?,
        }
    }
    Ok(())
}

fn attach_to_sockets(
    program: BorrowedFd<'_>,
    name: &'static str,
    place: Place,
    root: &Path,
    link: &Path,
) -> Result<(), Error> {
    match sys::object_get(link) {
        Ok(pinned) => {
            return sys::link_update(pinned.as_fd(), program).map_err(Error::pin("update", link));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::pin("open", link)(error)),
    }
    let cgroup = File::open(root).map_err(Error::pin("open", root))?;
    let target = match place {
        Place::SocketReceive => Target::CgroupReceive(cgroup.as_fd()),
        _ => Target::CgroupTransmit(cgroup.as_fd()),
    };
    // EPERM: somebody has all sockets for himself; E2BIG: 64 programs are there.
    let attached =
        sys::link_create(program, target).map_err(Error::program("attach to all sockets", name))?;
    sys::object_pin(link, attached.as_fd()).map_err(Error::pin("pin", link))
}
