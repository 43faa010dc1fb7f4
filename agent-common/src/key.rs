//! Keys of accounts and workloads in pinned maps: a hash that no version of anything changes.

/// FNV-1a over `parts`, each ended by a zero byte so that ("ab", "c") and ("a", "bc") differ.
#[must_use]
pub fn key(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_key_is_the_same_for_ever() {
        assert_eq!(key(&[b"container", b"docker", b"4f"]), 0x3a67_7b70_9605_b7d6);
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }
}
