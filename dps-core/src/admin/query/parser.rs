//! From text to a filter.

use super::filter::{Compare, Condition, Field, Filter, Kind, Literal, Test};
use super::lexer::{Lexer, Token};
use super::{Listing, MAX_QUERY_BYTES, MAX_QUERY_DEPTH, MAX_QUERY_VALUES, QueryError};
use crate::time::Timestamp;

/// The filter of a query; `None` if it asks for everything.
pub(super) fn parse(listing: &Listing, text: &str) -> Result<Option<Filter>, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        let expected = "expected at most 8192 bytes of text";
        return Err(QueryError {
            at: MAX_QUERY_BYTES,
            expected,
        });
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        listing,
        depth: 0,
        values: 0,
    };
    if parser.peek()?.is_none() {
        return Ok(None);
    }
    parser.keyword("select", "expected SELECT *")?;
    parser.sign("*", "expected SELECT *")?;
    if parser.takes("from")? {
        let no_name = parser.here("expected a name after FROM")?;
        let (_, Some(Token::Word(_))) = parser.next()? else {
            return Err(no_name);
        };
    }
    if parser.peek()?.is_none() {
        return Ok(None);
    }
    parser.keyword("where", "expected WHERE or the end")?;
    let condition = parser.any_of()?;
    match parser.peek()? {
        None => Ok(Some(Filter(condition))),
        Some(_) => Err(parser.here("expected AND, OR or the end")?),
    }
}

struct Parser<'t, 'l> {
    lexer: Lexer<'t>,
    listing: &'l Listing,
    depth: usize,
    values: usize,
}

type Parsed<T> = Result<T, QueryError>;

impl<'t> Parser<'t, '_> {
    fn next(&mut self) -> Parsed<(usize, Option<Token<'t>>)> {
        self.lexer.next()
    }

    fn peek(&self) -> Parsed<Option<Token<'t>>> {
        Ok(self.lexer.clone().next()?.1)
    }

    /// That something else is expected where the next token stands.
    fn here(&self, expected: &'static str) -> Parsed<QueryError> {
        let (at, _) = self.lexer.clone().next()?;
        Ok(QueryError { at, expected })
    }

    /// Goes past `word`, if it comes next.
    fn takes(&mut self, word: &str) -> Parsed<bool> {
        let found =
            matches!(self.peek()?, Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn takes_sign(&mut self, sign: &str) -> Parsed<bool> {
        let found = matches!(self.peek()?, Some(Token::Sign(next)) if next == sign);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn keyword(&mut self, word: &str, expected: &'static str) -> Parsed<()> {
        if self.takes(word)? {
            return Ok(());
        }
        Err(self.here(expected)?)
    }

    fn sign(&mut self, sign: &str, expected: &'static str) -> Parsed<()> {
        if self.takes_sign(sign)? {
            return Ok(());
        }
        Err(self.here(expected)?)
    }

    fn any_of(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.all_of()?];
        while self.takes("or")? {
            all.push(self.all_of()?);
        }
        Ok(only(all, Condition::Any))
    }

    fn all_of(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.one()?];
        while self.takes("and")? {
            all.push(self.one()?);
        }
        Ok(only(all, Condition::All))
    }

    fn one(&mut self) -> Parsed<Condition> {
        let not =
            matches!(self.peek()?, Some(Token::Word(word)) if word.eq_ignore_ascii_case("not"));
        if !not && self.peek()? != Some(Token::Sign("(")) {
            return self.test();
        }
        if self.depth == MAX_QUERY_DEPTH {
            return Err(self.here("expected conditions that nest at most 32 deep")?);
        }
        self.next()?;
        self.depth += 1;
        let inner = if not {
            Condition::Not(Box::new(self.one()?))
        } else {
            let inner = self.any_of()?;
            self.sign(")", "expected AND, OR or a closing parenthesis")?;
            inner
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn test(&mut self) -> Parsed<Condition> {
        if self.takes("startswith")? {
            self.sign("(", "expected STARTSWITH(field, 'text')")?;
            let field = self.field()?;
            if !matches!(field.kind(), Kind::Name | Kind::Exact) {
                return Err(self.here("expected a field that is not a word or a moment")?);
            }
            self.sign(",", "expected STARTSWITH(field, 'text')")?;
            let beginning = self.value(field)?;
            self.sign(")", "expected STARTSWITH(field, 'text')")?;
            return Ok(Condition::Test(field, Test::StartsWith(beginning)));
        }
        let field = self.field()?;
        let not = self.takes("not")?;
        if self.takes("in")? {
            let listed = Condition::Test(field, Test::In(self.values(field)?));
            return Ok(if not {
                Condition::Not(Box::new(listed))
            } else {
                listed
            });
        }
        if not {
            return Err(self.here("expected IN")?);
        }
        let compare = self.compare(field)?;
        let value = self.value(field)?;
        Ok(Condition::Test(field, Test::Compare(compare, value)))
    }

    fn field(&mut self) -> Parsed<Field> {
        let expected = Field::expected(self.listing);
        let Some(Token::Word(name)) = self.peek()? else {
            return Err(self.here(expected)?);
        };
        let Some(field) = Field::parse(self.listing, name) else {
            return Err(self.here(expected)?);
        };
        self.next()?;
        Ok(field)
    }

    fn compare(&mut self, field: Field) -> Parsed<Compare> {
        let found = match self.peek()? {
            Some(Token::Sign(sign)) => Compare::parse(sign),
            _ => None,
        };
        let Some(compare) = found else {
            return Err(self.here("expected =, !=, <, <=, >, >= or IN")?);
        };
        if matches!(field.kind(), Kind::Word(..)) && !matches!(compare, Compare::Eq | Compare::Ne) {
            return Err(self.here("expected =, != or IN: words have no order")?);
        }
        self.next()?;
        Ok(compare)
    }

    fn values(&mut self, field: Field) -> Parsed<Vec<Literal>> {
        let end = match self.peek()? {
            Some(Token::Sign("(")) => ")",
            Some(Token::Sign("[")) => "]",
            _ => return Err(self.here("expected values in parentheses")?),
        };
        self.next()?;
        let mut all = vec![self.value(field)?];
        while self.takes_sign(",")? {
            all.push(self.value(field)?);
        }
        self.sign(end, "expected a comma or the end of the values")?;
        Ok(all)
    }

    fn value(&mut self, field: Field) -> Parsed<Literal> {
        let expected = match field.kind() {
            Kind::Name | Kind::Exact => "expected a text in quotes",
            Kind::Word(_, expected) => expected,
            Kind::Moment => "expected a moment in quotes, such as '2026-11-21T08:00:00Z'",
        };
        let wrong = self.here(expected)?;
        let (_, Some(Token::Text(text))) = self.next()? else {
            return Err(wrong);
        };
        if self.values == MAX_QUERY_VALUES {
            let expected = "expected at most 256 values";
            return Err(QueryError { expected, ..wrong });
        }
        self.values += 1;
        match field.kind() {
            Kind::Name => Some(Literal::Text(text.to_ascii_lowercase().into())),
            Kind::Exact => Some(Literal::Text(text.into())),
            Kind::Word(words, _) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(&text))
                .map(|word| Literal::Text((*word).into())),
            Kind::Moment => moment(&text).map(Literal::Moment),
        }
        .ok_or(wrong)
    }
}

fn only(mut all: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            all.extend(last);
            several(all)
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    match text.len() {
        10 => Timestamp::parse(&format!("{text}T00:00:00Z")),
        _ => Timestamp::parse(text),
    }
}
