//! The map operations of our busiest programs and nothing else: no tail call, no look at a task.
//!
//! Which process an operation is for does not matter for its cost: a birth enters the next number, an exit takes the
//! last one, so that no id has to be read out of a task.

use anyhow::Result;
use plimsoll_common::{names::PROC_MAX, row::Row};

use super::{
    instruction::{Helper, Instruction, Writer},
    kernel::{Map, Program},
};

/// Entries that are there before the first birth: what lived before may end.
const EARLIER: u32 = 10_000;
/// The one row that is counted in.
const ROW: i32 = 7;
/// Places on the stack: a key, another key, a value.
const KEY: i16 = -4;
const ROW_KEY: i16 = -8;
const WORD: i16 = -16;

/// Maps like ours.
#[derive(Debug)]
pub struct Maps {
    entered: Map,
    procs: Map,
    rows: Map,
}

impl Maps {
    /// Makes them.
    pub fn create() -> Result<Self> {
        let entered = Map::create(Map::ARRAY, 1, 1)?;
        let procs = Map::create(Map::HASH, 1, PROC_MAX)?;
        let rows = Map::create(Map::HASH, Row::WORDS, 1)?;
        entered.set(0, [EARLIER.into()])?;
        (0..EARLIER).try_for_each(|key| procs.set(key, [1]))?;
        rows.set(ROW.cast_unsigned(), [0; Row::WORDS])?;
        Ok(Self { entered, procs, rows })
    }

    /// The operations of one of our programs, on the tracepoint of that; `None` for one that has none here.
    pub fn attach(&self, program: &str, tracepoint: &str) -> Result<Option<Program>> {
        let instructions = match program {
            "newtask" => self.newtask(),
            "exit" => self.exit(),
            "exec" => self.exec(),
            _ => return Ok(None),
        };
        Program::attach(tracepoint, &instructions).map(Some)
    }

    /// Enters a process, counts a birth, a live process and a live thread.
    fn newtask(&self) -> Vec<Instruction> {
        let enter = self.next(1, 0).store_u64(WORD, 1).set_map(1, self.procs.fd());
        let enter = enter.set_place(2, KEY).set_place(3, WORD).set(4, 1).call(Helper::Update);
        self.row(enter, 1).finish()
    }

    /// Takes a thread from a process, counts an end, a process and a thread less, deletes the entry.
    fn exit(&self) -> Vec<Instruction> {
        let take = self.next(-1, -1).lookup(self.procs.fd(), KEY).set(1, -1).atomic_fetch_add(0, 0, 1);
        let count = self.row(take, -1).set_map(1, self.procs.fd()).set_place(2, KEY);
        count.call(Helper::Delete).finish()
    }

    /// Counts an exec.
    fn exec(&self) -> Vec<Instruction> {
        let row = Writer::default().store_u32(ROW_KEY, ROW).lookup(self.rows.fd(), ROW_KEY);
        row.set(1, 1).atomic_fetch_add(0, 32, 1).finish()
    }

    /// Changes the number of entries, and puts what it was, `and` so much more, into `KEY`.
    fn next(&self, change: i32, and: i32) -> Writer {
        let entered = Writer::default().store_u32(KEY, 0).lookup(self.entered.fd(), KEY);
        entered.set(1, change).atomic_fetch_add(0, 0, 1).plus(1, and).keep_u32(KEY, 1)
    }

    /// Adds to three words of the row.
    fn row(&self, before: Writer, delta: i32) -> Writer {
        let row = before.store_u32(ROW_KEY, ROW).lookup(self.rows.fd(), ROW_KEY).set(1, delta);
        [0, 8, 16].into_iter().fold(row, |row, offset| row.atomic_add(0, offset, 1))
    }
}
