//! Cuts the text of an expression into tokens.
use crate::ast::Literal;
use crate::position::Issue;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A constant.
    Literal(Literal),
    /// The digits of a number without a sign that is too large for a signed one: the least integer's, once a sign stands before them.
    Least,
    /// A name, and whether it stands in back-ticks.
    Ident(String, bool),
    /// An operator or bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// Operators and brackets; longer ones first.
const SYMBOLS: [&str; 26] =
    ["&&", "||", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "<", ">", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}", "=", ";"];

/// The tokens of a text, each with the byte where it starts.
pub fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Issue> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.space();
        let start = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        out.push((token, start));
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or_default()
    }

    fn issue(&self, offset: usize, message: &str) -> Issue {
        Issue { offset, message: format!("Syntax error: {message}") }
    }

    fn space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self) -> Result<Token, Issue> {
        let (first, second) = (self.peek(0), self.peek(1));
        if self.rest().is_empty() {
            return Ok(Token::End);
        }
        if let Some((raw, bytes, prefix)) = self.quoted() {
            self.at += prefix;
            return self.string(raw, bytes);
        }
        if first.is_ascii_digit() || (first == b'.' && second.is_ascii_digit()) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == b'_' {
            let rest = self.rest();
            let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.at += len;
            return Ok(Token::Ident(rest.get(..len).unwrap_or_default().to_owned(), false));
        }
        if first == b'`' {
            return self.escaped();
        }
        let rest = self.rest();
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) if !matches!(*symbol, "=" | ";") => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            _ => Err(self.issue(self.at, &format!("token recognition error at: '{}'", rest.chars().next().unwrap_or_default()))),
        }
    }

    fn escaped(&mut self) -> Result<Token, Issue> {
        let rest = self.rest().get(1..).unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
        match rest.find('`') {
            Some(len) if len > 0 && rest.get(..len).is_some_and(|name| name.chars().all(allowed)) => {
                self.at += len + 2;
                Ok(Token::Ident(rest.get(..len).unwrap_or_default().to_owned(), true))
            }
            _ => Err(self.issue(self.at, "token recognition error at: '`'")),
        }
    }

    /// Whether a literal with quotes starts here: whether it is raw, whether it is bytes, and how long its prefix is.
    fn quoted(&self) -> Option<(bool, bool, usize)> {
        let (mut raw, mut bytes) = (false, false);
        for length in 0..3 {
            match self.peek(length) {
                b'"' | b'\'' => return Some((raw, bytes, length)),
                b'r' | b'R' if !raw => raw = true,
                b'b' | b'B' if !bytes => bytes = true,
                _ => return None,
            }
        }
        None
    }

    fn string(&mut self, raw: bool, bytes: bool) -> Result<Token, Issue> {
        let start = self.at;
        let quote = self.peek(0);
        let triple = self.peek(1) == quote && self.peek(2) == quote;
        let length = if triple { 3 } else { 1 };
        let closing = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(closing) {
                self.at += length;
                break;
            }
            match rest.chars().next() {
                None => return Err(self.issue(start, "token recognition error: a string isn't closed")),
                Some('\n' | '\r') if !triple => return Err(self.issue(start, "token recognition error: a string isn't closed")),
                Some('\\') if !raw => self.escape(bytes, &mut out)?,
                Some('\\') => {
                    let taken: String = rest.chars().take(2).collect();
                    if taken.ends_with(['\n', '\r']) && !triple {
                        return Err(self.issue(start, "token recognition error: a string isn't closed"));
                    }
                    self.at += taken.len();
                    out.extend_from_slice(taken.as_bytes());
                }
                Some(c) => {
                    self.at += c.len_utf8();
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        if bytes {
            return Ok(Token::Literal(Literal::Bytes(out.into())));
        }
        let text = String::from_utf8(out).map_err(|_| self.issue(start, "a string must be UTF-8"))?;
        Ok(Token::Literal(Literal::String(text.into())))
    }

    /// An escape: `\n`, `\x41`, `\u0041`, `\U00000041`, `\101`.
    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), Issue> {
        let start = self.at;
        let kind = self.peek(1);
        let simple = match kind {
            b'a' => Some(7),
            b'b' => Some(8),
            b'f' => Some(12),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'v' => Some(11),
            b'\\' | b'?' | b'"' | b'\'' | b'`' => Some(kind),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            self.at += 2;
            return Ok(());
        }
        let (skip, digits, radix) = match kind {
            b'x' | b'X' => (2, 2, 16),
            b'u' if !bytes => (2, 4, 16),
            b'U' if !bytes => (2, 8, 16),
            b'0'..=b'3' => (1, 3, 8),
            _ => return Err(self.issue(start, "invalid escape sequence")),
        };
        let number = self.rest().get(skip..skip + digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = number.and_then(|d| u32::from_str_radix(d, radix).ok()).ok_or_else(|| self.issue(start, "invalid escape sequence"))?;
        self.at += skip + digits;
        if bytes {
            out.push(u8::try_from(code).map_err(|_| self.issue(start, "invalid escape sequence"))?);
        } else {
            let c = char::from_u32(code).ok_or_else(|| self.issue(start, "invalid unicode code point"))?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    fn digits(&mut self, allowed: fn(u8) -> bool) {
        while allowed(self.peek(0)) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Token, Issue> {
        let start = self.at;
        let hexadecimal = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') && self.peek(2).is_ascii_hexdigit();
        let mut double = false;
        if hexadecimal {
            self.at += 2;
            self.digits(|b| b.is_ascii_hexdigit());
        } else {
            self.digits(|b| b.is_ascii_digit());
            if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
                double = true;
                self.at += 1;
                self.digits(|b| b.is_ascii_digit());
            }
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
                double = true;
                self.at += 1 + sign;
                self.digits(|b| b.is_ascii_digit());
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if double {
            let number: f64 = text.parse().map_err(|_| self.issue(start, "invalid double literal"))?;
            return if number.is_finite() { Ok(Token::Literal(Literal::Double(number))) } else { Err(self.issue(start, "invalid double literal")) };
        }
        let (digits, radix) = if hexadecimal { (text.get(2..).unwrap_or_default(), 16) } else { (text, 10) };
        let number = u64::from_str_radix(digits, radix);
        if matches!(self.peek(0), b'u' | b'U') {
            self.at += 1;
            return number.map(|n| Token::Literal(Literal::Uint(n))).map_err(|_| self.issue(start, "invalid uint literal"));
        }
        match number {
            Ok(n) if n == i64::MIN.unsigned_abs() => Ok(Token::Least),
            Ok(n) => i64::try_from(n).map(|n| Token::Literal(Literal::Int(n))).map_err(|_| self.issue(start, "invalid int literal")),
            Err(_) => Err(self.issue(start, "invalid int literal")),
        }
    }
}
