//! JSON, as much of it as the header of a safetensors file needs: read from the front, without a tree.

use crate::io::place::Short;

/// What is left of a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

pub(crate) type Parsed<T> = Result<T, String>;

/// Objects and arrays within each other in what is passed over.
const DEEPEST: usize = 64;

impl<'a> Reader<'a> {
    /// Reads the one value that a text is.
    pub(crate) fn whole<T>(text: &'a [u8], value: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let text = str::from_utf8(text).map_err(|_| "it is not text")?;
        let mut reader = Reader { text, at: 0 };
        let found = value(&mut reader)?;
        match reader.next() {
            None => Ok(found),
            Some(_) => Err(reader.wrong("its end")),
        }
    }

    /// The members of an object: `member` reads the value that belongs to a name.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, String) -> Parsed<()>) -> Parsed<()> {
        self.list(b'{', b'}', |reader| {
            let name = reader.string()?;
            reader.expect(b':')?;
            member(reader, name)
        })
    }

    /// The elements of an array, each read by `element`.
    pub(crate) fn array(&mut self, element: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.list(b'[', b']', element)
    }

    fn list(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.expect(open)?;
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(close) {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    pub(crate) fn string(&mut self) -> Parsed<String> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ');
            let (plain, stop) = rest.split_at(stop.ok_or_else(|| "a string does not end".to_string())?);
            string.push_str(plain);
            self.at += plain.len() + 1;
            match stop.as_bytes()[0] {
                b'"' => return Ok(string),
                b'\\' => string.push(self.escaped()?),
                _ => return Err("a string holds a control character".into()),
            }
        }
    }

    /// The character that follows a backslash stands for.
    fn escaped(&mut self) -> Parsed<char> {
        let after = self.text.as_bytes().get(self.at).copied();
        self.at += usize::from(after.is_some_and(|c| c.is_ascii()));
        Ok(match after {
            Some(c @ (b'"' | b'\\' | b'/')) => c.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut units = vec![self.unit()?];
                // Characters beyond 16 bits are two escapes.
                if (0xd800..0xdc00).contains(&units[0]) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    units.push(self.unit()?);
                }
                match char::decode_utf16(units.iter().copied()).next() {
                    Some(Ok(c)) => c,
                    _ => return Err(format!("\\u{:04x} is half a character", units[0])),
                }
            }
            _ => return Err("a backslash escapes nothing".into()),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Parsed<u16> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|c| c.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| "\\u is not followed by four hexadecimal digits".to_string())?;
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|e| e.to_string())
    }

    /// A whole number from 0 on.
    pub(crate) fn count(&mut self) -> Parsed<u64> {
        self.next();
        let rest = &self.text[self.at..];
        // Of what else a number can be, all that follows the digits is no end of one.
        let len =
            rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let number = &rest[..len];
        let plain = number.bytes().all(|c| c.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
        match number.parse() {
            Ok(count) if plain => {
                self.at += len;
                Ok(count)
            }
            _ if number.is_empty() => Err(self.wrong("a whole number")),
            _ => Err(format!("{} is no whole number in the range of sizes", Short(number))),
        }
    }

    /// Passes over any value.
    pub(crate) fn skip(&mut self) -> Parsed<()> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, depth: usize) -> Parsed<()> {
        if depth == 0 {
            return Err(format!("it nests more than {DEEPEST} objects and arrays"));
        }
        match self.next() {
            Some(b'{') => self.object(|reader, _| reader.skip_within(depth - 1)),
            Some(b'[') => self.array(|reader| reader.skip_within(depth - 1)),
            Some(b'"') => self.string().map(drop),
            _ => {
                // A number, or one of three words.
                let rest = &self.text[self.at..];
                let word = &rest[..rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len())];
                if !matches!(word, "true" | "false" | "null") && !is_number(word) {
                    return Err(self.wrong("a value"));
                }
                self.at += word.len();
                Ok(())
            }
        }
    }

    /// Passes over white space, and shows what follows it.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        match self.eat(byte) {
            true => Ok(()),
            false => Err(self.wrong(&format!("'{}'", char::from(byte)))),
        }
    }

    #[cold]
    fn wrong(&self, expected: &str) -> String {
        match self.text[self.at..].chars().next() {
            None => format!("it ends where {expected} is expected"),
            Some(_) => format!("{expected} is expected at {}", Short(&self.text[self.at..])),
        }
    }
}

fn is_number(word: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|c| c.is_ascii_digit());
    let word = word.strip_prefix('-').unwrap_or(word);
    let (word, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the reader makes of a value that nobody asked for, and serde_json.
    fn skips(text: &str) -> (bool, bool) {
        (
            Reader::whole(text.as_bytes(), Reader::skip).is_ok(),
            serde_json::from_str::<serde_json::Value>(text).is_ok(),
        )
    }

    proptest! {
        #[test]
        fn strings_come_back(text in any::<String>()) {
            let ours = quoted(&text);
            prop_assert_eq!(&serde_json::from_str::<String>(&ours).unwrap(), &text);
            let theirs = serde_json::to_string(&text).unwrap();
            for json in [ours, theirs] {
                prop_assert_eq!(&Reader::whole(json.as_bytes(), Reader::string).unwrap(), &text);
            }
        }

        #[test]
        fn texts_are_taken_as_serde_json_takes_them(
            text in r#"(\{|\}|\[|\]|,|:|"a"|"b\\n"|"\\u00e9"|0|12|-1|1\.5|e|E\+|\.|true|null|tru| ){0,7}"#,
        ) {
            let (ours, theirs) = skips(&text);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn counts_are_taken_as_serde_json_takes_them(text in "[ 0-9.eE+-]{0,4}|[0-9]{18,21}") {
            let theirs = serde_json::from_str::<u64>(&text).ok();
            prop_assert_eq!(Reader::whole(text.as_bytes(), Reader::count).ok(), theirs);
        }

        #[test]
        fn escapes_are_taken_as_serde_json_takes_them(text in r#""(\\u[dD][89abcdef]0[01]|\\u[0-9a-g]{3,4}|\\.|é|[\x00-\x20]){0,3}"?"#) {
            let theirs = serde_json::from_str::<String>(&text).ok();
            prop_assert_eq!(Reader::whole(text.as_bytes(), Reader::string).ok(), theirs);
        }
    }

    #[test]
    fn what_is_nested_without_end_is_an_error() {
        for open in ["[", "{\"a\":"] {
            let deep = open.repeat(100_000);
            assert!(Reader::whole(deep.as_bytes(), Reader::skip).unwrap_err().contains("nests"));
        }
        assert!(skips(&format!("{}{}", "[".repeat(DEEPEST - 1), "]".repeat(DEEPEST - 1))).0);
    }
}
