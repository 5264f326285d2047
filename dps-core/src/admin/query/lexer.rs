//! Words, texts and signs of a query.

use super::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// A keyword or the name of a field.
    Word(&'t str),
    /// What stood in quotes.
    Text(String),
    Number,
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 14] = [
    "<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", "[", "]", ",", "*", ";",
];

/// Reads `text` from its beginning, one token after the other.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and where it begins; `None` at the end.
    pub(super) fn next(&mut self) -> Result<(usize, Option<Token<'t>>), QueryError> {
        let rest = self.rest().trim_start();
        self.at = self.text.len() - rest.len();
        let at = self.at;
        let Some(first) = rest.chars().next() else {
            return Ok((at, None));
        };
        if first == '\'' || first == '"' {
            return Ok((at, Some(Token::Text(self.text(first)?))));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            return Ok((at, Some(Token::Word(word))));
        }
        if first.is_ascii_digit() || first == '-' {
            self.at += 1;
            self.run(|c| c.is_ascii_alphanumeric() || c == '.');
            return Ok((at, Some(Token::Number)));
        }
        for sign in SIGNS {
            if rest.starts_with(sign) {
                self.at += sign.len();
                return Ok((at, Some(Token::Sign(sign))));
            }
        }
        let expected = "expected a word, a text in quotes or a sign";
        Err(QueryError { at, expected })
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn run(&mut self, of: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn text(&mut self, quote: char) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        let mut chars = self.rest().chars();
        loop {
            match chars.next() {
                None => {
                    let expected = "expected the quote that ends this text";
                    return Err(QueryError {
                        at: start,
                        expected,
                    });
                }
                Some(c) if c == quote => break,
                Some('\\') => {
                    let at = self.text.len() - chars.as_str().len() - 1;
                    out.push(escape(&mut chars).ok_or(QueryError {
                        at,
                        expected: r#"expected \\, \', \" or \uXXXX"#,
                    })?);
                }
                Some(c) => out.push(c),
            }
        }
        self.at = self.text.len() - chars.as_str().len();
        Ok(out)
    }
}

fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        c @ ('\\' | '\'' | '"') => Some(c),
        'u' => {
            let digits = chars.as_str().get(..4)?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *chars = chars.as_str().get(4..)?.chars();
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
        _ => None,
    }
}

/// Whether the word `WHERE` stands in `text`, wherever that is.
pub(super) fn says_where(text: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !part_of_word(c))
        .any(|word| word.eq_ignore_ascii_case("where"))
}
