//! Reads an expression: a parser by recursive descent, of which depth and input are bounded.
use crate::ast::{Expr, Kind, Literal, Name};
use crate::lexer::{Token, tokens};
use crate::macros;
use crate::position::Issue;
use crate::signatures;
use crate::types::Type;

/// Deepest nesting of an expression. It is 250 in cel-go, of which the stack grows; ours doesn't, and must do for builds without optimisation.
pub const DEPTH_MAX: usize = 150;
/// Longest expression in characters, which is cel-go's as well.
pub const LENGTH_MAX: usize = 100_000;
/// Names that can't be variables.
pub const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];
/// Operators between two terms, how tightly they bind, and the functions that they call.
const BINARY: [(&str, u8, &str); 14] = [
    ("||", 1, "_||_"),
    ("&&", 2, "_&&_"),
    ("==", 3, "_==_"),
    ("!=", 3, "_!=_"),
    ("<", 3, "_<_"),
    ("<=", 3, "_<=_"),
    (">", 3, "_>_"),
    (">=", 3, "_>=_"),
    ("in", 3, "@in"),
    ("+", 4, "_+_"),
    ("-", 4, "_-_"),
    ("*", 5, "_*_"),
    ("/", 5, "_/_"),
    ("%", 5, "_%_"),
];
/// How tightly operators bind of which a row becomes a balanced tree: `||` and `&&`.
const BALANCED: u8 = 2;

/// Reads an expression, and says how many nodes it has.
pub fn parse(text: &str) -> Result<(Expr, usize), Issue> {
    let length = text.chars().count();
    if length > LENGTH_MAX {
        return Err(Issue { offset: 0, message: format!("expression code point size exceeds limit: size: {length}, limit {LENGTH_MAX}") });
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, ids: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok((expr, parser.ids)),
        _ => Err(parser.unexpected("the end of the expression")),
    }
}

/// The state of a parse.
pub struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    ids: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(_, offset)| *offset)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(s) if *s == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn must(&mut self, symbol: &str) -> Result<(), Issue> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(&format!("'{symbol}'"))) }
    }

    fn unexpected(&self, wanted: &str) -> Issue {
        let found = match self.peek() {
            Token::End => "<EOF>".to_owned(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::Ident(name, _) => name.clone(),
            Token::Literal(_) | Token::Least => "a literal".to_owned(),
        };
        Issue { offset: self.offset(), message: format!("Syntax error: mismatched input '{found}' expecting {wanted}") }
    }

    /// Makes a node.
    pub fn node(&mut self, offset: usize, kind: Kind) -> Result<Expr, Issue> {
        let height = kind.height();
        if height > DEPTH_MAX {
            return Err(Issue { offset, message: format!("expression recursion limit exceeded: {DEPTH_MAX}") });
        }
        self.ids += 1;
        Ok(Expr { id: self.ids - 1, offset, height, kind })
    }

    fn call(&mut self, offset: usize, function: &str, args: Vec<Expr>) -> Result<Expr, Issue> {
        self.node(offset, Kind::Call(function.into(), None, args))
    }

    fn expr(&mut self) -> Result<Expr, Issue> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Issue { offset: self.offset(), message: format!("expression recursion limit exceeded: {DEPTH_MAX}") });
        }
        let condition = self.binary(1)?;
        let offset = self.offset();
        let out = if self.take("?") {
            let yes = self.binary(1)?;
            self.must(":")?;
            let no = self.expr()?;
            self.call(offset, "_?_:_", vec![condition, yes, no])?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(out)
    }

    fn balanced(&mut self, function: &str, terms: &mut [Option<Expr>], offsets: &[usize]) -> Result<Expr, Issue> {
        if let [only] = terms {
            return only.take().ok_or(Issue { offset: 0, message: String::new() });
        }
        let half = terms.len().div_ceil(2);
        let offset = offsets.get(half - 1).copied().unwrap_or_default();
        let (left, right) = terms.split_at_mut(half);
        let left = self.balanced(function, left, offsets.get(..half - 1).unwrap_or_default())?;
        let right = self.balanced(function, right, offsets.get(half..).unwrap_or_default())?;
        self.call(offset, function, vec![left, right])
    }

    fn operator(&self) -> Option<(u8, &'static str)> {
        let text = match self.peek() {
            Token::Symbol(symbol) => symbol,
            Token::Ident(name, false) if name == "in" => "in",
            _ => return None,
        };
        BINARY.iter().find(|(symbol, ..)| *symbol == text).map(|(_, level, function)| (*level, *function))
    }

    fn binary(&mut self, level: u8) -> Result<Expr, Issue> {
        let mut left = self.unary()?;
        while let Some((found, function)) = self.operator().filter(|(found, _)| *found >= level) {
            if found <= BALANCED {
                left = self.row(left, found, function)?;
                continue;
            }
            let offset = self.offset();
            self.at += 1;
            let right = self.binary(found + 1)?;
            left = self.call(offset, function, vec![left, right])?;
        }
        Ok(left)
    }

    /// Terms with the same operator between them, as a balanced tree.
    fn row(&mut self, first: Expr, level: u8, function: &str) -> Result<Expr, Issue> {
        let (mut terms, mut offsets) = (vec![Some(first)], Vec::new());
        while self.operator().is_some_and(|(found, _)| found == level) {
            offsets.push(self.offset());
            self.at += 1;
            terms.push(Some(self.binary(level + 1)?));
        }
        self.balanced(function, &mut terms, &offsets)
    }

    fn unary(&mut self) -> Result<Expr, Issue> {
        let symbol = if self.is("!") { "!" } else { "-" };
        let mut offsets = Vec::new();
        while self.is(symbol) {
            offsets.push(self.offset());
            self.at += 1;
        }
        let mut out = match (self.peek(), offsets.last().copied()) {
            (Token::Least | Token::Literal(Literal::Int(_) | Literal::Double(_)), Some(offset)) if symbol == "-" => {
                offsets.pop();
                let number = self.negative();
                let operand = self.node(offset, Kind::Literal(number))?;
                self.members(operand)?
            }
            _ => self.member()?,
        };
        for offset in offsets.into_iter().rev() {
            out = self.call(offset, if symbol == "!" { "!_" } else { "-_" }, vec![out])?;
        }
        Ok(out)
    }

    fn negative(&mut self) -> Literal {
        match self.next() {
            Token::Literal(Literal::Int(n)) => Literal::Int(n.wrapping_neg()),
            Token::Literal(Literal::Double(n)) => Literal::Double(-n),
            _ => Literal::Int(i64::MIN),
        }
    }

    fn member(&mut self) -> Result<Expr, Issue> {
        let operand = self.primary()?;
        self.members(operand)
    }

    fn members(&mut self, mut operand: Expr) -> Result<Expr, Issue> {
        loop {
            let offset = self.offset();
            operand = if self.take(".") {
                let optional = self.take("?");
                let Token::Ident(field, escaped) = self.peek().clone() else { return Err(self.unexpected("an identifier")) };
                if !escaped && matches!(&*field, "in" | "true" | "false" | "null") {
                    return Err(self.unexpected("an identifier"));
                }
                self.at += 1;
                let open = self.offset();
                match optional {
                    true => {
                        let field = self.node(offset, Kind::Literal(Literal::String(field.into())))?;
                        self.call(offset, "_?._", vec![operand, field])?
                    }
                    false if !escaped && self.take("(") => {
                        let args = self.list(")")?;
                        self.method(open, operand, field.into(), args)?
                    }
                    false => self.select(offset, operand, field.into())?,
                }
            } else if self.take("[") {
                let function = if self.take("?") { "_[?_]" } else { "_[_]" };
                let index = self.expr()?;
                self.must("]")?;
                self.call(offset, function, vec![operand, index])?
            } else if self.is("{") && operand.dotted().is_some() {
                self.at += 1;
                self.message(offset, &operand)?
            } else {
                return Ok(operand);
            };
        }
    }

    fn select(&mut self, offset: usize, operand: Expr, field: Name) -> Result<Expr, Issue> {
        let named = operand.dotted().and_then(|name| Type::named(&format!("{name}.{field}")));
        match named {
            Some(named) => self.node(offset, Kind::Literal(Literal::Type(named))),
            None => self.node(offset, Kind::Select(Box::new(operand), field, false)),
        }
    }

    fn method(&mut self, offset: usize, target: Expr, function: Name, args: Vec<Expr>) -> Result<Expr, Issue> {
        let qualified = target.dotted().map(|name| format!("{name}.{function}")).filter(|name| signatures::is_function(name));
        match qualified {
            Some(name) => self.call(offset, &name, args),
            None => {
                let kind = macros::expand(offset, target, function, args)?;
                self.node(offset, kind)
            }
        }
    }

    fn message(&mut self, offset: usize, name: &Expr) -> Result<Expr, Issue> {
        let mut fields = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            if !matches!(self.next(), Token::Ident(..)) {
                self.at -= 1;
                return Err(self.unexpected("an identifier"));
            }
            self.must(":")?;
            fields.push((self.expr()?, optional));
            if !self.take(",") && !self.is("}") {
                return Err(self.unexpected("'}'"));
            }
        }
        self.node(offset, Kind::Struct(name.dotted().unwrap_or_default().into(), fields))
    }

    /// Expressions with commas between them, to a closing bracket.
    fn list(&mut self, close: &str) -> Result<Vec<Expr>, Issue> {
        let mut out = Vec::new();
        if self.take(close) {
            return Ok(out);
        }
        loop {
            out.push(self.expr()?);
            if !self.take(",") {
                self.must(close)?;
                return Ok(out);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Issue> {
        let mut offset = self.offset();
        if self.take(".") {
            offset = self.offset();
            if !matches!(self.peek(), Token::Ident(_, false)) {
                return Err(self.unexpected("an identifier"));
            }
        }
        match self.next() {
            Token::Literal(literal) => self.node(offset, Kind::Literal(literal)),
            Token::Least => Err(Issue { offset, message: "Syntax error: invalid int literal".to_owned() }),
            Token::Ident(name, false) => self.ident(offset, &name),
            Token::Symbol("(") => {
                let inner = self.expr()?;
                self.must(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => self.list_literal(offset),
            Token::Symbol("{") => self.map_literal(offset),
            _ => {
                self.at -= 1;
                Err(self.unexpected("an expression"))
            }
        }
    }

    fn ident(&mut self, offset: usize, name: &str) -> Result<Expr, Issue> {
        let literal = match name {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            _ => None,
        };
        if let Some(literal) = literal {
            return self.node(offset, Kind::Literal(literal));
        }
        if RESERVED.contains(&name) {
            return Err(Issue { offset, message: format!("Syntax error: reserved identifier: {name}") });
        }
        let open = self.offset();
        if !self.take("(") {
            return self.node(offset, Kind::Ident(name.into()));
        }
        let args = self.list(")")?;
        if name == "has" {
            return match args.into_iter().next().map(|arg| arg.kind) {
                Some(Kind::Select(operand, field, false)) => self.node(open, Kind::Select(operand, field, true)),
                _ => Err(Issue { offset: open, message: "invalid argument to has() macro".to_owned() }),
            };
        }
        self.call(open, name, args)
    }

    fn list_literal(&mut self, offset: usize) -> Result<Expr, Issue> {
        let mut items = Vec::new();
        while !self.take("]") {
            let optional = self.take("?");
            items.push((self.expr()?, optional));
            if !self.take(",") && !self.is("]") {
                return Err(self.unexpected("']'"));
            }
        }
        self.node(offset, Kind::List(items))
    }

    fn map_literal(&mut self, offset: usize) -> Result<Expr, Issue> {
        let mut entries = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            let key = self.expr()?;
            self.must(":")?;
            entries.push((key, self.expr()?, optional));
            if !self.take(",") && !self.is("}") {
                return Err(self.unexpected("'}'"));
            }
        }
        self.node(offset, Kind::Map(entries))
    }
}
