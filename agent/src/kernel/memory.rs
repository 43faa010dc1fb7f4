//! How much memory the maps may take, from their shapes, as kernel/bpf/hashtab.c and ringbuf.c of 6.12 do it.

use aya::maps::MapType;

use super::maps::{SHAPES, Shape};

/// `struct htab_elem` without key and value.
const ELEMENT: u64 = 48;
/// `struct bucket`.
const BUCKET: u64 = 16;
/// What the allocator of maps without preallocation adds to an element.
const LIST_NODE: u64 = 8;
/// Positions of consumer and producer, and the ring's own page.
const RING_PAGES: u64 = 3 * 4096;

/// CPUs that this host may ever have.
///
/// # Errors
/// Where they were looked for, and why they cannot be told.
pub fn possible_cpus() -> Result<u32, String> {
    let cpus = aya::util::nr_cpus().map_err(|(place, error)| format!("{place}: {error}"))?;
    u32::try_from(cpus).map_err(|error| error.to_string())
}

/// Bytes of all maps when each is full, on a host with so many possible CPUs.
#[must_use]
pub fn most(cpus: u32) -> u64 {
    SHAPES.iter().map(|shape| of(shape, cpus)).sum()
}

/// Bytes of one map when it is full.
fn of(shape: &Shape, cpus: u32) -> u64 {
    let Shape { name: _, kind, key, value, entries, preallocated } = *shape;
    let [key, value] = [key, value].map(|bytes| (bytes as u64).next_multiple_of(8));
    let entries = u64::from(entries);
    match kind {
        MapType::Hash if preallocated => {
            // Each CPU has a spare element for updates.
            entries.next_power_of_two() * BUCKET + (entries + u64::from(cpus)) * (ELEMENT + key + value)
        }
        MapType::Hash => {
            entries.next_power_of_two() * BUCKET + entries * slab(ELEMENT + key + value + LIST_NODE)
        }
        MapType::RingBuf => entries + RING_PAGES,
        _ => entries * value,
    }
}

/// What the kernel's allocator gives for so many bytes: powers of two, 96 and 192.
fn slab(bytes: u64) -> u64 {
    match bytes {
        65..=96 => 96,
        129..=192 => 192,
        _ => bytes.next_power_of_two(),
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAPES, most, of, slab};

    #[test]
    fn maps_are_bounded_on_large_hosts_too() {
        for cpus in [2, 64, 192] {
            let bytes = most(cpus);
            assert!((32 << 20..=96 << 20).contains(&bytes), "{cpus} CPUs: {bytes} bytes");
        }
    }

    #[test]
    fn a_name_fits_a_slab() {
        let names = SHAPES.iter().find(|shape| shape.name == "NAMES").unwrap();
        assert_eq!(
            of(names, 2),
            u64::from(names.entries) * 2048 + u64::from(names.entries.next_power_of_two()) * 16
        );
        assert_eq!([1, 64, 65, 97, 129, 193, 2049].map(slab), [1, 64, 96, 128, 192, 256, 4096]);
    }
}
