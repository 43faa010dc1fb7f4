//! The map operations of our busiest programs and nothing else: no tail call, no look for a task's cgroup.

use anyhow::Result;
use plimsoll_common::{
    names::{LANES_MAX, PROC_MAX, SOCKETS_MAX},
    row::Row,
    traffic::Traffic,
};

use super::{
    instruction::{Helper, Instruction, Writer},
    kernel::{Map, Place, Program},
    types::Types,
};

/// The one row that is counted in.
const ROW: i32 = 7;
// Places on the stack.
const KEY: i16 = -4;
const ROW_KEY: i16 = -8;
const WORD: i16 = -16;

/// Maps like ours.
#[derive(Debug)]
pub struct Maps {
    processes: Map<u32>,
    rows: Map<u32>,
}

/// Maps like those that packets are counted in.
#[derive(Debug)]
pub struct PacketMaps {
    lanes: Map<u64>,
    sockets: Map<u32>,
}

impl Maps {
    /// Makes them.
    pub fn create() -> Result<Self> {
        let rows = Map::create(Row::WORDS, 1)?;
        rows.set(ROW.cast_unsigned(), [0; Row::WORDS])?;
        Ok(Self { processes: Map::create(1, PROC_MAX)?, rows })
    }

    /// The operations of one of our programs, on the tracepoint of that; `None` for one that has none here.
    pub fn attach(&self, types: &Types, program: &str, tracepoint: &str) -> Result<Option<Program>> {
        let tgid = types.tgid()?;
        let instructions = match program {
            "newtask" => self.newtask(tgid),
            "exit" => self.exit(tgid),
            "exec" => self.exec(),
            _ => return Ok(None),
        };
        Program::attach(types, tracepoint, &instructions).map(Some)
    }

    /// Enters a process; counts a birth, a live process and a live thread.
    fn newtask(&self, tgid: i16) -> Vec<Instruction> {
        let enter = key(tgid).store_u64(WORD, 1).set_map(1, self.processes.fd());
        let enter = enter.set_place(2, KEY).set_place(3, WORD).set(4, 1).call(Helper::Update);
        self.count(enter, 1).finish()
    }

    /// Takes a thread from a process; counts an end, a process and a thread less; deletes the process.
    fn exit(&self, tgid: i16) -> Vec<Instruction> {
        let take = key(tgid).lookup(self.processes.fd(), KEY).set(1, -1).atomic_fetch_add(0, 0, 1);
        let count = self.count(take, -1).set_map(1, self.processes.fd()).set_place(2, KEY);
        count.call(Helper::Delete).finish()
    }

    /// Counts an exec.
    fn exec(&self) -> Vec<Instruction> {
        let row = Writer::default().store_u32(ROW_KEY, ROW).lookup(self.rows.fd(), ROW_KEY);
        row.set(1, 1).atomic_fetch_add(0, 0, 1).finish()
    }

    /// Adds to three words of the row.
    fn count(&self, before: Writer, delta: i32) -> Writer {
        let row = before.store_u32(ROW_KEY, ROW).lookup(self.rows.fd(), ROW_KEY).set(1, delta);
        [0, 8, 16].into_iter().fold(row, |row, offset| row.atomic_add(0, offset, 1))
    }
}

impl PacketMaps {
    /// Makes them.
    pub fn create() -> Result<Self> {
        const LANE: usize = Traffic::WORDS + 1;
        const SOCKET: usize = 2 * Traffic::WORDS;
        let (lanes, sockets) = (Map::create(LANE, LANES_MAX)?, Map::create(SOCKET, SOCKETS_MAX)?);
        lanes.set(u64::from(ROW.cast_unsigned()), [0; LANE])?;
        sockets.set(ROW.cast_unsigned(), [0; SOCKET])?;
        Ok(Self { lanes, sockets })
    }

    /// What counts a packet, attached to these interfaces or cgroups: finds the row, adds bytes and one packet.
    pub fn see(&self, place: Place, targets: &[u32]) -> Result<Program> {
        let program = Writer::returning(place.pass()).store_u64(WORD, ROW);
        let row = match place {
            Place::TcxIngress | Place::TcxEgress => program.lookup(self.lanes.fd(), WORD),
            Place::SocketsReceive | Place::SocketsTransmit => program.lookup(self.sockets.fd(), WORD),
        };
        let counted = row.set(1, 106).atomic_add(0, 0, 1).set(1, 1).atomic_add(0, 8, 1);
        Program::see(place, targets, &counted.finish())
    }
}

/// Puts the process id of the task that is the tracepoint's first argument into `KEY`.
fn key(tgid: i16) -> Writer {
    Writer::default().load_u64(1, 1, 0).load_u32(1, 1, tgid).keep_u32(KEY, 1)
}
