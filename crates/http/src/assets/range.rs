//! Which part of a file was asked for (RFC 9110 §14).

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranged {
    /// Everything: nothing usable was asked for, or several parts at once.
    Whole,
    /// The bytes from `start` to `end`, both included.
    Part { start: u64, end: u64 },
    /// Nothing: the part lies behind the end.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `len` bytes. What it does not understand asks for everything, as the RFC wants.
pub(super) fn ranged(header: &str, len: u64) -> Ranged {
    let Some((unit, ranges)) = header.split_once('=') else { return Ranged::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return Ranged::Whole;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return Ranged::Whole };
    match (number(first), number(last)) {
        (Number::None, Number::Some(0)) => Ranged::Unsatisfiable,
        (Number::None, Number::Some(_)) if len == 0 => Ranged::Unsatisfiable,
        (Number::None, Number::Some(suffix)) => {
            Ranged::Part { start: len.saturating_sub(suffix), end: len - 1 }
        }
        (Number::Some(start), Number::Some(end)) if end < start => Ranged::Whole,
        (Number::Some(start), Number::None | Number::Some(_)) if start >= len => Ranged::Unsatisfiable,
        (Number::Some(start), Number::None) => Ranged::Part { start, end: len - 1 },
        (Number::Some(start), Number::Some(end)) => Ranged::Part { start, end: end.min(len - 1) },
        _ => Ranged::Whole,
    }
}

enum Number {
    None,
    Some(u64),
    Wrong,
}

fn number(text: &str) -> Number {
    match text {
        "" => Number::None,
        // A plus sign would parse.
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_or(Number::Some(u64::MAX), Number::Some)
        }
        _ => Number::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_always_lies_inside_the_file(header in "(bytes)?=?[0-9]{0,20}-?[0-9]{0,20}[,x]?", len in 0u64..100) {
            if let Ranged::Part { start, end } = ranged(&header, len) {
                prop_assert!(start <= end && end < len, "{header}");
            }
        }

        #[test]
        fn a_well_formed_range_is_kept(start in 0u64..100, more in 0u64..100, rest in 1u64..100) {
            let (end, len) = (start + more, start + more + rest);
            prop_assert_eq!(ranged(&format!("bytes={start}-{end}"), len), Ranged::Part { start, end });
            prop_assert_eq!(ranged(&format!("bytes={start}-"), len), Ranged::Part { start, end: len - 1 });
        }

        #[test]
        fn any_text_is_read_without_panic(header in "\\PC*", len: u64) {
            let _ = ranged(&header, len);
        }
    }

    #[test]
    fn the_rules_of_the_standard() {
        assert_eq!(ranged("bytes=-5", 10), Ranged::Part { start: 5, end: 9 });
        assert_eq!(ranged("bytes=-50", 10), Ranged::Part { start: 0, end: 9 });
        assert_eq!(ranged("bytes=0-99", 10), Ranged::Part { start: 0, end: 9 });
        for unsatisfiable in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(ranged(unsatisfiable, 10), Ranged::Unsatisfiable, "{unsatisfiable}");
        }
        for whole in
            ["bytes=5-4", "bytes=0-1,3-4", "lines=1-2", "bytes", "bytes=a-b", "bytes=+1-2", "bytes=-", ""]
        {
            assert_eq!(ranged(whole, 10), Ranged::Whole, "{whole}");
        }
        assert_eq!(ranged("bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(ranged("bytes=-1", 0), Ranged::Unsatisfiable);
    }
}
