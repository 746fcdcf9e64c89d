/// Fewest digits of what may be the number of a telephone.
pub const NUMBER_DIGITS_MIN: usize = 7;
/// How many digits stay, so that an operator can distinguish numbers.
const SHOWN: usize = 2;

/// Covers the digits of long numbers, but for the last two. Blanks and the marks that numbers are
/// written with may stand between the digits, and stay.
pub fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_numeric) {
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

/// Whether a number may be written with a character. In any script: what is copied from elsewhere comes with its own digits, dashes and blanks.
pub fn is_of_a_number(c: char) -> bool {
    let is_blank = c.is_whitespace() && !matches!(c, '\n' | '\r');
    let is_dash = matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '_');
    // What is copied from elsewhere may have these between its digits, and looks as if it had not.
    let is_invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
    let is_mark = matches!(c, '+' | '(' | ')' | '.' | '·' | '/');
    c.is_numeric() || is_blank || is_dash || is_invisible || is_mark
}

fn cover(number: &str, masked: &mut String) {
    let digits = number.chars().filter(|c| c.is_numeric()).count();
    let covered = if digits < NUMBER_DIGITS_MIN { 0 } else { digits - SHOWN };
    let mut seen = 0;
    for c in number.chars() {
        let is_covered = c.is_numeric() && {
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
            ("０１７０１２３４５６７", "*********６７"),
            ("٠١٧٠ ١٢٣٤", "**** **٣٤"),
            ("+33\u{202f}6\u{202f}12\u{2011}34", "+**\u{202f}*\u{202f}**\u{2011}34"),
            ("0170_123\t4567", "****_***\t**67"),
            ("0170\u{200b}123\u{ad}4567\u{feff}", "****\u{200b}***\u{ad}**67\u{feff}"),
            ("answers 1,2,3,4,5,6,7,8 and 3.25", "answers 1,2,3,4,5,6,7,8 and 3.25"),
            ("scores 4, 5\n2026 calls", "scores 4, 5\n2026 calls"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_seven_digits_stand_together_afterwards(text in "[0-9٠-٩a é+().‑-]{0,40}") {
            let masked = masked(&text);
            prop_assert_eq!(masked.chars().count(), text.chars().count());
            let runs = masked.split(|c: char| !is_of_a_number(c));
            for run in runs {
                prop_assert!(run.chars().filter(|c| c.is_numeric()).count() < NUMBER_DIGITS_MIN);
            }
        }
    }
}
