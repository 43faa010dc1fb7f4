//! eBPF instructions (kernel: `Documentation/bpf/standardization/instruction-set.rst`), as far as they are used here.

/// One instruction, as the kernel takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    /// The source in the upper half, the target in the lower.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Helper functions (kernel: `enum bpf_func_id`).
#[derive(Clone, Copy, Debug)]
pub enum Helper {
    /// `bpf_map_lookup_elem`.
    Lookup = 1,
    /// `bpf_map_update_elem`.
    Update = 2,
    /// `bpf_map_delete_elem`.
    Delete = 3,
}

/// The register that points behind the stack.
const STACK: u8 = 10;
/// `BPF_PSEUDO_MAP_FD`: a constant is a map's descriptor.
const MAP_FD: u8 = 1;
/// `BPF_FETCH`: an atomic operation gives the old value.
const FETCH: i32 = 1;

/// A program that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    instructions: Vec<Instruction>,
    result: i32,
}

impl Writer {
    /// One that will return this; the default one returns 0.
    #[must_use]
    pub fn returning(result: i32) -> Self {
        Self { result, ..Self::default() }
    }

    fn add(mut self, code: u8, [target, source]: [u8; 2], offset: i16, immediate: i32) -> Self {
        self.instructions.push(Instruction { code, registers: source << 4 | target, offset, immediate });
        self
    }

    /// `register = value`.
    #[must_use]
    pub fn set(self, register: u8, value: i32) -> Self {
        self.add(0xb7, [register, 0], 0, value)
    }

    /// `register = map`.
    #[must_use]
    pub fn set_map(self, register: u8, map: i32) -> Self {
        self.add(0x18, [register, MAP_FD], 0, map).add(0, [0, 0], 0, 0)
    }

    /// `register = address of the place on the stack`.
    #[must_use]
    pub fn set_place(self, register: u8, place: i16) -> Self {
        self.add(0xbf, [register, STACK], 0, 0).add(0x07, [register, 0], 0, place.into())
    }

    /// `register = *(u64 *)(pointer + offset)`.
    #[must_use]
    pub fn load_u64(self, register: u8, pointer: u8, offset: i16) -> Self {
        self.add(0x79, [register, pointer], offset, 0)
    }

    /// `register = *(u32 *)(pointer + offset)`.
    #[must_use]
    pub fn load_u32(self, register: u8, pointer: u8, offset: i16) -> Self {
        self.add(0x61, [register, pointer], offset, 0)
    }

    /// `*(u32 *)place = value`.
    #[must_use]
    pub fn store_u32(self, place: i16, value: i32) -> Self {
        self.add(0x62, [STACK, 0], place, value)
    }

    /// `*(u64 *)place = value`.
    #[must_use]
    pub fn store_u64(self, place: i16, value: i32) -> Self {
        self.add(0x7a, [STACK, 0], place, value)
    }

    /// `*(u32 *)place = register`.
    #[must_use]
    pub fn keep_u32(self, place: i16, register: u8) -> Self {
        self.add(0x63, [STACK, register], place, 0)
    }

    /// Adds a register to the word at `pointer + offset`, atomically.
    #[must_use]
    pub fn atomic_add(self, pointer: u8, offset: i16, register: u8) -> Self {
        self.add(0xdb, [pointer, register], offset, 0)
    }

    /// The same; the register gets the old value.
    #[must_use]
    pub fn atomic_fetch_add(self, pointer: u8, offset: i16, register: u8) -> Self {
        self.add(0xdb, [pointer, register], offset, FETCH)
    }

    /// Calls a helper with registers 1 to 5; register 0 gets the result.
    #[must_use]
    pub fn call(self, helper: Helper) -> Self {
        self.add(0x85, [0, 0], 0, helper as i32)
    }

    /// Returns where a register is 0, else goes on.
    #[must_use]
    pub fn return_if_zero(self, register: u8) -> Self {
        self.add(0x55, [register, 0], 2, 0).end()
    }

    /// Register 0 points to the value of the key at `place`; returns where there is none.
    #[must_use]
    pub fn lookup(self, map: i32, place: i16) -> Self {
        self.set_map(1, map).set_place(2, place).call(Helper::Lookup).return_if_zero(0)
    }

    fn end(self) -> Self {
        let result = self.result;
        self.set(0, result).add(0x95, [0, 0], 0, 0)
    }

    /// The program.
    #[must_use]
    pub fn finish(self) -> Vec<Instruction> {
        self.end().instructions
    }
}
