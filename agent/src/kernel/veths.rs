//! Counting at the host's ends of veth pairs: programs that were loaded at the start are attached to each as it appears,
//! by a pinned link per direction, and its rows are made and deleted. Needs no capability.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use aya::maps::{HashMap, MapData, MapError};
use plimsoll_common::{
    names,
    traffic::{Direction, Lane, MAX_LANES, Traffic, lane_key},
};

use super::{
    Error,
    maps::{absent_is_fine, insert_new, open},
    memory::possible_cpus,
    programs::TAPS,
    sys::{self, Target},
};

/// Directory of the links, beside the other kinds of pins.
pub(super) const VETHS: &str = "veths";

/// Both directions, with the letter that their pins begin with.
const DIRECTIONS: [(Direction, char); 2] = [(Direction::Receive, 'r'), (Direction::Transmit, 't')];

/// Rows of one interface and direction, less one.
///
/// # Errors
/// The number of CPUs cannot be told.
pub fn lane_mask() -> Result<u32, Error> {
    let cpus = possible_cpus().map_err(Error::SelfTest)?;
    Ok(cpus.next_power_of_two().min(MAX_LANES) - 1)
}

/// Attaches and detaches.
#[derive(Debug)]
pub struct Veths {
    receive: OwnedFd,
    transmit: OwnedFd,
    lanes: HashMap<MapData, u64, Lane>,
    mask: u32,
    directory: PathBuf,
}

/// An interface that has pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// Its number when they were made.
    pub ifindex: u32,
    /// What became of it.
    pub state: State,
}

/// What became of an interface that has pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is counted, at least in one direction.
    Counted,
    /// It is gone; another may have its number now.
    Dead,
}

impl Veths {
    /// Opens the programs pinned in `pins`; `None` where this kernel could not load or attach them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(pins: &Path) -> Result<Option<Self>, Error> {
        let program = |direction| {
            let place = pins.join("programs").join(program_of(direction));
            match sys::object_get(&place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                result => result.map(Some).map_err(Error::pin("open", place)),
            }
        };
        let (Some(receive), Some(transmit)) = (program(Direction::Receive)?, program(Direction::Transmit)?)
        else {
            return Ok(None);
        };
        let lanes = open(&pins.join("maps"), names::LANES)?;
        Ok(Some(Self { receive, transmit, lanes, mask: lane_mask()?, directory: pins.join(VETHS) }))
    }

    /// All interfaces that have a pin.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn attached(&self) -> Result<Vec<Attached>, Error> {
        let entries = fs::read_dir(&self.directory).map_err(Error::pin("read", &self.directory))?;
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.get(1..)?.parse().ok();
        let mut numbers: Vec<u32> = entries.flatten().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let state = |ifindex| {
            if DIRECTIONS.into_iter().any(|(_, letter)| is_on(&self.pin(ifindex, letter), ifindex)) {
                State::Counted
            } else {
                State::Dead
            }
        };
        Ok(numbers.into_iter().map(|ifindex| Attached { ifindex, state: state(ifindex) }).collect())
    }

    /// Counts at an interface from now on; what is attached there already goes on.
    ///
    /// # Errors
    /// There is no room for its rows, the interface is gone, or the kernel's.
    pub fn attach(&mut self, ifindex: u32) -> Result<(), Error> {
        self.make_rows(ifindex)?;
        self.link(ifindex)
    }

    /// Counts there no more; its rows go.
    ///
    /// # Errors
    /// The kernel's.
    pub fn detach(&mut self, ifindex: u32) -> Result<(), Error> {
        for (_, letter) in DIRECTIONS {
            remove(&self.pin(ifindex, letter))?;
        }
        for key in self.keys(ifindex) {
            absent_is_fine(self.lanes.remove(&key), names::LANES)?;
        }
        Ok(())
    }

    /// What the programs counted at an interface: received, transmitted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn traffic(&self, ifindex: u32) -> Result<[Traffic; 2], Error> {
        let mut sums = [Traffic::ZERO; 2];
        for (sum, (direction, _)) in sums.iter_mut().zip(DIRECTIONS) {
            for lane in 0..=self.mask {
                match self.lanes.get(&lane_key(ifindex, direction, lane), 0) {
                    Ok(lane) => *sum = sum.plus(&lane.traffic),
                    Err(MapError::KeyNotFound) => {}
                    Err(error) => return Err(Error::map("read", names::LANES)(error)),
                }
            }
        }
        Ok(sums)
    }

    fn make_rows(&mut self, ifindex: u32) -> Result<(), Error> {
        self.keys(ifindex).try_for_each(|key| insert_new(&mut self.lanes, key, &Lane::ZERO, names::LANES))
    }

    fn link(&self, ifindex: u32) -> Result<(), Error> {
        for (direction, letter) in DIRECTIONS {
            let (program, target) = match direction {
                Direction::Receive => (&self.receive, Target::TcxEgress(ifindex)),
                Direction::Transmit => (&self.transmit, Target::TcxIngress(ifindex)),
            };
            let pin = self.pin(ifindex, letter);
            if is_on(&pin, ifindex) {
                continue;
            }
            remove(&pin)?;
            let link = sys::link_create(program.as_fd(), target).map_err(Error::pin("attach, for", &pin))?;
            sys::object_pin(&pin, link.as_fd()).map_err(Error::pin("pin", &pin))?;
        }
        Ok(())
    }

    fn keys(&self, ifindex: u32) -> impl Iterator<Item = u64> + use<> {
        let mask = self.mask;
        DIRECTIONS
            .into_iter()
            .flat_map(move |(direction, _)| (0..=mask).map(move |lane| lane_key(ifindex, direction, lane)))
    }

    fn pin(&self, ifindex: u32, letter: char) -> PathBuf {
        self.directory.join(format!("{letter}{ifindex}"))
    }
}

/// Whether the link pinned there is attached to that interface; the kernel says 0 once it is gone.
pub(super) fn is_on(pin: &Path, ifindex: u32) -> bool {
    sys::link_info(pin).is_ok_and(|info| info.ifindex == ifindex)
}

/// Removes a pin; one that is not there is gone already.
pub(super) fn remove(pin: &Path) -> Result<(), Error> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::pin("remove", pin)(error)),
        _ => Ok(()),
    }
}

/// The name of the program that sees what the container receives or transmits.
fn program_of(direction: Direction) -> &'static str {
    let [transmit, receive, ..] = TAPS;
    match direction {
        Direction::Receive => receive.program,
        Direction::Transmit => transmit.program,
    }
}
