//! Tags as numbers, the same in every process, on every machine, whatever compiler built it.
//!
//! A tag's number travels to other nodes and lies in the far tier, where it outlives the program that wrote it. So it does
//! not come from the standard library, whose hash may change with the compiler: a tombstone of the new program must find
//! the entries of the old one. Two tags of one number cost each other a load, never a stale value.

/// FNV-1a (Fowler, Noll, Vo) and the finaliser of MurmurHash3 (Appleby), which spreads it over all bits.
pub(crate) fn hash(tag: &str) -> u64 {
    let fnv = tag
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        assert_eq!([hash(""), hash("product:42"), hash("ä")], NUMBERS);
    }

    /// Computed once. If this fails, nodes of two versions no longer understand each other's tombstones.
    const NUMBERS: [u64; 3] = [0xefd0_1f60_ba99_2926, 0xb7f7_9759_49e6_2fdb, 0xd496_e8b7_a31c_2b2e];
}
