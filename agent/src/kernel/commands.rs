//! Running programs on demand: the iterator, and orders that are atomic against SIGKILL. Needs no capability.

use std::{io::Read as _, path::Path};

use aya::programs::{
    SchedClassifier, TestRun as _, TestRunOptions,
    iter::IterLink,
    links::{FdLink, PinnedLink},
};
use plimsoll_common::{
    command::{Answer, Command, Import, Settle},
    seen::Seen,
};

use super::{
    Error,
    programs::{COMMANDS, ITERATOR},
};

/// The programs that the agent runs itself.
pub struct Commands {
    fold: SchedClassifier,
    retire: SchedClassifier,
    repair: SchedClassifier,
    import: SchedClassifier,
    settle: SchedClassifier,
    fold_sockets: SchedClassifier,
    retire_port: SchedClassifier,
    iterator: std::path::PathBuf,
}

impl Commands {
    /// Opens the programs pinned in `pins`.
    ///
    /// # Errors
    /// One is missing.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let program = |name: &'static str| {
            let path = pins.join("programs").join(name);
            SchedClassifier::from_pin(path).map_err(Error::program("open", name))
        };
        let [fold, retire, repair, import, settle, fold_sockets, retire_port] = COMMANDS;
        Ok(Self {
            fold: program(fold)?,
            retire: program(retire)?,
            repair: program(repair)?,
            import: program(import)?,
            settle: program(settle)?,
            fold_sockets: program(fold_sockets)?,
            retire_port: program(retire_port)?,
            iterator: pins.join("links").join(ITERATOR),
        })
    }

    /// Adds the row of a dead cgroup to `account` and deletes it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn fold(&self, cgroup: u32, account: u64) -> Result<Answer, Error> {
        run(&self.fold, "fold", &Command { key: cgroup.into(), from: account, to: 0 }.packet())
    }

    /// Adds the sum of a dead account to `workload` and deletes it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn retire(&self, account: u64, workload: u64) -> Result<Answer, Error> {
        run(&self.retire, "retire", &Command { key: account, from: workload, to: 0 }.packet())
    }

    /// Changes the word of a process from `from` to `to`; 0 is no process.
    ///
    /// # Errors
    /// The kernel's.
    pub fn repair(&self, tgid: u32, from: u64, to: u64) -> Result<Answer, Error> {
        run(&self.repair, "repair", &Command { key: tgid.into(), from, to }.packet())
    }

    /// Adds a row of an older layout, if that was not done yet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn import(&self, import: &Import) -> Result<Answer, Error> {
        run(&self.import, "import", &import.packet())
    }

    /// Adds what passed a veth pair to its port, and takes it away from the pair.
    ///
    /// # Errors
    /// The kernel's.
    pub fn settle(&self, settle: &Settle) -> Result<Answer, Error> {
        run(&self.settle, "settle", &settle.packet())
    }

    /// Adds what the sockets of a dead cgroup counted to `port` and deletes their row.
    ///
    /// # Errors
    /// The kernel's.
    pub fn fold_sockets(&self, cgroup: u32, port: u64) -> Result<Answer, Error> {
        run(&self.fold_sockets, "fold_sockets", &Command { key: cgroup.into(), from: port, to: 0 }.packet())
    }

    /// Adds the sum of a dead account's port to those of its workload and of the host, and deletes it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn retire_port(&self, port: u64, workload: u64, host: u64) -> Result<Answer, Error> {
        run(&self.retire_port, "retire_port", &Command { key: port, from: workload, to: host }.packet())
    }

    /// Runs the iterator: every process is entered that was not, and listed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn iterate(&self) -> Result<Vec<Seen>, Error> {
        let link = PinnedLink::from_pin(&self.iterator).map_err(Error::program("open", ITERATOR))?;
        let link = IterLink::try_from(FdLink::from(link)).map_err(Error::program("open", ITERATOR))?;
        let mut bytes = Vec::new();
        let mut file = link.into_file().map_err(Error::program("run", ITERATOR))?;
        file.read_to_end(&mut bytes).map_err(Error::pin("read", &self.iterator))?;
        Ok(bytes.as_chunks::<{ Seen::SIZE }>().0.iter().map(decode).collect())
    }
}

fn run(program: &SchedClassifier, name: &str, packet: &[u8]) -> Result<Answer, Error> {
    let options = TestRunOptions { data_in: Some(packet), ..TestRunOptions::new() };
    let result = program.test_run(options).map_err(Error::program("run", name))?;
    Answer::from_number(result.return_value)
        .ok_or_else(|| Error::SelfTest(format!("program {name} answered {}", result.return_value)))
}

fn decode(record: &[u8; Seen::SIZE]) -> Seen {
    let [k0, k1, k2, k3, k4, k5, k6, k7, o0, o1, o2, o3, o4, o5, o6, o7, t0, t1, t2, t3, ..] = *record;
    Seen {
        kernel: u64::from_ne_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
        ours: u64::from_ne_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
        tgid: u32::from_ne_bytes([t0, t1, t2, t3]),
        pad: 0,
    }
}
