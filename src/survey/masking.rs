/// Fewest digits of what may be the number of a telephone.
const DIGITS_MIN: usize = 7;
/// How many digits stay, so that a person can tell one from another.
const SHOWN: usize = 2;

/// Covers the digits of long numbers, but for the last two. Blanks and the marks that numbers are
/// written with may stand between the digits, and stay.
pub fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        masked.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !is_of_a_number(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        cover(number, &mut masked);
        rest = after;
    }
    masked.push_str(rest);
    masked
}

fn is_of_a_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '+' | '-' | '(' | ')' | '.' | '/' | ' ' | '\u{a0}')
}

fn cover(number: &str, masked: &mut String) {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let covered = if digits < DIGITS_MIN { 0 } else { digits - SHOWN };
    let mut seen = 0;
    for c in number.chars() {
        let is_covered = c.is_ascii_digit() && {
            seen += 1;
            seen <= covered
        };
        masked.push(if is_covered { '*' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_numbers_keep_two_digits() {
        for (text, expected) in [
            ("call +49 (170) 123-4567 back", "call +** (***) ***-**67 back"),
            ("score 4 of 5", "score 4 of 5"),
            ("ticket 123456", "ticket 123456"),
            ("1234567", "*****67"),
            ("a1b2c3d4e5f6g7", "a1b2c3d4e5f6g7"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_seven_digits_stand_together_afterwards(text in "[0-9a é+().-]{0,40}") {
            let masked = masked(&text);
            prop_assert_eq!(masked.chars().count(), text.chars().count());
            let runs = masked.split(|c: char| !is_of_a_number(c));
            for run in runs {
                prop_assert!(run.bytes().filter(u8::is_ascii_digit).count() < DIGITS_MIN);
            }
        }
    }
}
