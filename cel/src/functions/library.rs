//! URLs, addresses, quantities, versions and formats.
use super::context::{Context, Made};
use crate::error::EvalError;
use crate::net::{self, Block};
use crate::opaque::Opaque;
use crate::quantity::Quantity;
use crate::semver::Semver;
use crate::url::Url;
use crate::value::{Entries, Key, Map, Text, Value};
use crate::{formats, semver};
use std::net::IpAddr;
use std::sync::Arc;

/// Calls a function of these.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    if let Some(name) = function.strip_prefix("format.").filter(|_| args.is_empty()) {
        return Ok(formats::named(name).map(|format| Value::Opaque(Opaque::Format(format))));
    }
    match args {
        [Value::String(text), rest @ ..] => parse(function, text, rest),
        [Value::Opaque(Opaque::Url(url))] => url_part(function, url, context),
        [Value::Opaque(Opaque::Ip(ip))] => address(function, *ip),
        [Value::Opaque(Opaque::Cidr(block)), rest @ ..] => of_block(function, block, rest),
        [Value::Opaque(Opaque::Quantity(quantity)), rest @ ..] => of_quantity(function, *quantity, rest),
        [Value::Opaque(Opaque::Semver(version)), rest @ ..] => Ok(of_version(function, version, rest)),
        [Value::Opaque(Opaque::Format(format)), Value::String(text)] if function == "validate" => {
            let wrong = format.validate(text);
            let wrong = wrong.into_iter().map(|why| context.text(why)).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(if wrong.is_empty() { Value::Optional(None) } else { Value::some(wrong.into()) }))
        }
        _ => Ok(None),
    }
}

fn parse<'a>(function: &str, text: &str, rest: &[Value<'a>]) -> Made<'a> {
    let normalize = matches!(rest, [Value::Bool(true)]);
    let version = || semver::Semver::parse(text, normalize);
    Ok(Some(match function {
        "url" => Value::Opaque(Opaque::Url(Arc::new(Url::parse(text)?))),
        "isURL" => Value::Bool(Url::parse(text).is_ok()),
        "ip" => Value::Opaque(Opaque::Ip(net::address(text)?)),
        "isIP" => Value::Bool(net::address(text).is_ok()),
        "ip.isCanonical" => Value::Bool(net::address(text)?.to_string() == text),
        "cidr" => Value::Opaque(Opaque::Cidr(net::block(text)?)),
        "isCIDR" => Value::Bool(net::block(text).is_ok()),
        "quantity" => Value::Opaque(Opaque::Quantity(Quantity::parse(text)?)),
        "isQuantity" => Value::Bool(Quantity::parse(text).is_ok()),
        "semver" => Value::Opaque(Opaque::Semver(Arc::new(version()?))),
        "isSemver" => Value::Bool(version().is_ok()),
        "format.named" => Value::Optional(formats::named(text).map(|format| Arc::new(Value::Opaque(Opaque::Format(format))))),
        _ => return Ok(None),
    }))
}

fn url_part<'a>(function: &str, url: &Url, context: &mut Context<'_>) -> Made<'a> {
    let part = match function {
        "getScheme" => &*url.scheme,
        "getHost" => &*url.host,
        "getHostname" => url.hostname(),
        "getPort" => url.port(),
        "getEscapedPath" => &*url.path,
        "getQuery" => {
            let mut out = Entries::new();
            for (key, values) in url.parameters() {
                let values = values.into_iter().map(|value| context.text(value)).collect::<Result<Vec<_>, _>>()?;
                let key = Text::Shared(key.into());
                out.insert(Key::String(key.clone()), (Value::String(key), values.into()));
            }
            return Ok(Some(Value::Map(Map::Owned(Arc::new(out)))));
        }
        _ => return Ok(None),
    };
    context.text(part.to_owned()).map(Some)
}

fn address<'a>(function: &str, ip: IpAddr) -> Made<'a> {
    Ok(match function {
        "family" => Some(Value::Int(if ip.is_ipv4() { 4 } else { 6 })),
        "isUnspecified" | "isLoopback" | "isLinkLocalMulticast" | "isLinkLocalUnicast" | "isGlobalUnicast" => Some(Value::Bool(net::is(ip, function))),
        _ => None,
    })
}

fn of_block<'a>(function: &str, block: &Block, rest: &[Value<'a>]) -> Made<'a> {
    Ok(Some(match (function, rest) {
        ("ip", []) => Value::Opaque(Opaque::Ip(block.address)),
        ("prefixLength", []) => Value::Int(block.bits.into()),
        ("masked", []) => Value::Opaque(Opaque::Cidr(block.masked())),
        ("containsIP", [Value::String(text)]) => Value::Bool(block.contains(net::address(text)?)),
        ("containsIP", [Value::Opaque(Opaque::Ip(ip))]) => Value::Bool(block.contains(*ip)),
        ("containsCIDR", [Value::String(text)]) => Value::Bool(block.contains_block(&net::block(text)?)),
        ("containsCIDR", [Value::Opaque(Opaque::Cidr(other))]) => Value::Bool(block.contains_block(other)),
        _ => return Ok(None),
    }))
}

fn of_quantity<'a>(function: &str, quantity: Quantity, rest: &[Value<'a>]) -> Made<'a> {
    let made = |quantity: Quantity| Value::Opaque(Opaque::Quantity(quantity));
    Ok(Some(match (function, rest) {
        ("sign", []) => Value::Int(quantity.sign()),
        ("isInteger", []) => Value::Bool(quantity.integer().is_some()),
        ("asInteger", []) => Value::Int(quantity.integer().ok_or_else(|| EvalError::value("cannot convert value to integer"))?),
        ("asApproximateFloat", []) => Value::Double(quantity.float()),
        ("isGreaterThan", [Value::Opaque(Opaque::Quantity(other))]) => Value::Bool(quantity > *other),
        ("isLessThan", [Value::Opaque(Opaque::Quantity(other))]) => Value::Bool(quantity < *other),
        ("compareTo", [Value::Opaque(Opaque::Quantity(other))]) => Value::Int(quantity.cmp(other) as i64),
        ("add", [Value::Opaque(Opaque::Quantity(other))]) => made(quantity.plus(*other)),
        ("sub", [Value::Opaque(Opaque::Quantity(other))]) => made(quantity.minus(*other)),
        ("add", [Value::Int(n)]) => made(quantity.plus((*n).into())),
        ("sub", [Value::Int(n)]) => made(quantity.minus((*n).into())),
        _ => return Ok(None),
    }))
}

fn of_version<'a>(function: &str, version: &Semver, rest: &[Value<'a>]) -> Option<Value<'a>> {
    let [major, minor, patch] = version.numbers;
    let number = |n: u64| Some(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)));
    match (function, rest) {
        ("major", []) => number(major),
        ("minor", []) => number(minor),
        ("patch", []) => number(patch),
        ("isGreaterThan", [Value::Opaque(Opaque::Semver(other))]) => Some(Value::Bool(*version > **other)),
        ("isLessThan", [Value::Opaque(Opaque::Semver(other))]) => Some(Value::Bool(*version < **other)),
        ("compareTo", [Value::Opaque(Opaque::Semver(other))]) => Some(Value::Int(version.cmp(other) as i64)),
        _ => None,
    }
}
