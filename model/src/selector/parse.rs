//! The grammar of label selectors' text form, with its error sentences.
use super::requirement::{Operator, Requirement, check_key};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Symbol(text) => text,
            Self::End => "",
        }
    }
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn next_token(text: &str) -> (Token<'_>, &str) {
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    let length = match text.chars().next() {
        None => return (Token::End, ""),
        Some(_) if text.starts_with("==") || text.starts_with("!=") => 2,
        Some(c) if is_symbol(c) => 1,
        Some(_) => {
            let end = text.find(|c: char| is_symbol(c) || matches!(c, ' ' | '\t' | '\r' | '\n')).unwrap_or(text.len());
            return (Token::Word(text.get(..end).unwrap_or_default()), text.get(end..).unwrap_or_default());
        }
    };
    (Token::Symbol(text.get(..length).unwrap_or_default()), text.get(length..).unwrap_or_default())
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        next_token(self.rest).0
    }
    fn take(&mut self) -> Token<'a> {
        let (token, rest) = next_token(self.rest);
        self.rest = rest;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Token::Symbol("!");
        if negated {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        check_key(key)?;
        if negated || matches!(self.peek(), Token::End | Token::Symbol(",")) {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Requirement::new(key, operator, BTreeSet::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            (operator, true) => (operator, self.set()?),
            (operator, false) => (operator, self.single()?),
        };
        Requirement::new(key, values.0, values.1)
    }

    /// The operator, and whether a set in parentheses follows.
    fn operator(&mut self) -> Result<(Operator, bool), String> {
        Ok(match self.take() {
            Token::Word("in") => (Operator::In, true),
            Token::Word("notin") => (Operator::NotIn, true),
            Token::Symbol("=" | "==") => (Operator::In, false),
            Token::Symbol("!=") => (Operator::NotIn, false),
            Token::Symbol(">") => (Operator::GreaterThan, false),
            Token::Symbol("<") => (Operator::LessThan, false),
            other => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        })
    }

    fn single(&mut self) -> Result<BTreeSet<String>, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(BTreeSet::from([String::new()])),
            Token::Word(value) => {
                self.take();
                Ok(BTreeSet::from([value.to_owned()]))
            }
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// `(a, b)`. A missing value between commas is the empty one.
    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Word(value) => {
                    self.take();
                    value
                }
                _ => "",
            };
            values.insert(value.to_owned());
            match self.take() {
                Token::Symbol(")") => return Ok(values),
                Token::Symbol(",") => {}
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}

/// Parses a whole selector.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { rest: text };
    let mut all = Vec::new();
    if parser.peek() == Token::End {
        return Ok(all);
    }
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Symbol("!") => all.push(parser.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?),
            other if all.is_empty() => return Err(format!("found '{}', expected: !, identifier, or ','", other.text())),
            other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
        }
        match parser.take() {
            Token::End => return Ok(all),
            Token::Symbol(",") => {}
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}
