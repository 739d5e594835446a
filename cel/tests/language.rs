//! Tables over the language and its libraries.
use cel::{Budget, Declaration, DeclaredShape, Environment, EvalError, Merge, PER_CALL, Program, Type, Value};
use serde_json::json;

fn environment() -> Environment {
    Environment::new().with_type("d", Type::Dyn).with_type("xs", Type::list(Type::Int)).with_type("s", Type::String)
}

fn evaluated(text: &str) -> Result<String, String> {
    let program = Program::compile(&environment(), text).map_err(|e| e.message)?;
    let data = json!({"a": {"b": [1, 2, 3], "n": null}, "s": "x"});
    let dynamic = Declaration::simple(Type::Dyn);
    let d = Value::from_json(&data, &dynamic).map_err(|e| e.to_string())?;
    let xs = Value::from(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
    let bindings = [("d", d), ("xs", xs), ("s", Value::borrowed("text"))];
    match program.evaluate(&bindings, &mut Budget::new(PER_CALL)) {
        Ok(Value::Bool(b)) => Ok(b.to_string()),
        Ok(other) => Ok(format!("{other:?}")),
        Err(e) => Err(e.to_string()),
    }
}

/// Expressions that are true.
const TRUE: &[&str] = &[
    "1 + 2 * 3 == 7 && 7 % 4 == 3 && -7 / 2 == -3",
    "dyn(1) == 1.0 && dyn(1u) == 1 && 2.5 > 2 && 1u < 2 && !(dyn(1) == 2.5)",
    "0x1F == 31 && 0xFFu == 255u && 1e3 == 1000.0 && .5 == 0.5",
    "-9223372036854775808 < 0",
    r#"'\u00e9' == "é" && '\x41\101\n' == "AA\n" && r'\n' == '\\n' && '''a'b''' == "a'b""#,
    r#"b'\xff' != b'\x00' && size(b'é') == 2 && bytes('é') == b'é'"#,
    "true ? true : false",
    "'b' in ['a', 'b'] && 1 in xs && 'k' in {'k': 1} && !('x' in {'k': 1})",
    "[1, 2] + [3] == xs && xs[0] == 1 && {'a': 1}['a'] == 1 && {'a': 1}.a == 1",
    "{1: 'a'}[dyn(1u)] == 'a' && {'x': 1, 'y': 2} == {'y': 2, 'x': 1}",
    "has(d.a) && !has(d.z) && has(d.a.b) && d.a.b[2] == 3",
    "xs.all(x, x > 0) && xs.exists(x, x == 2) && xs.exists_one(x, x > 2) && !xs.exists_one(x, x > 1)",
    "xs.map(x, x * 2) == [2, 4, 6] && xs.filter(x, x > 1) == [2, 3] && xs.map(x, x > 1, x * 10) == [20, 30]",
    "xs.all(i, v, i + 1 == v) && {'a': 1}.exists(k, v, k == 'a' && v == 1) && xs.existsOne(i, v, v == 2)",
    "xs.transformList(i, v, i > 0, v * 10) == [20, 30] && {'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
    "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'} && xs.transformMap(i, v, v)[2] == 3",
    "d.?a.?b[?1].orValue(0) == 2 && !d.?z.hasValue() && d.?z.?y.orValue(5) == 5",
    "optional.of(1).optMap(x, x + 1).value() == 2 && !optional.none().hasValue() && optional.ofNonZeroValue('') == optional.none()",
    "optional.of(1).optFlatMap(x, optional.of(x)).or(optional.of(3)).value() == 1 && optional.none().or(optional.of(3)).value() == 3",
    "[?optional.none(), ?optional.of(1)] == [1] && {?'a': optional.of(1), ?'b': optional.none()} == {'a': 1}",
    "xs.first().value() == 1 && xs.last().value() == 3 && optional.unwrap([optional.of(1), optional.none()]) == [1]",
    "(1 / 0 > 1) || true",
    "!((1 / 0 > 1) && false)",
    "[0, 1].exists(x, 1 / x == 1) && ![0, 2].all(x, 1 / x > 0)",
    "type(1) == int && type('a') == string && type([1]) == list && type(type(1)) == type && type(null) == null_type",
    "type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp && type(ip('::1')) == net.IP",
    "int('12') == 12 && int(2.9) == 2 && uint('3') == 3u && double('1.5') == 1.5 && string(12) == '12' && string(1.5) == '1.5' && bool('true')",
    "string(b'abc') == 'abc' && string(duration('90m')) == '5400s' && string(timestamp('2020-01-01T00:00:00Z')) == '2020-01-01T00:00:00Z'",
    "size('héllo') == 5 && 'héllo'.size() == 5 && size(xs) == 3 && size({'a': 1}) == 1",
    "'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b') && 'abc'.matches('^a.c$') && matches('abc', 'b')",
    "timestamp('2021-03-04T05:06:07.008Z').getFullYear() == 2021 && timestamp('2021-03-04T05:06:07.008Z').getMonth() == 2",
    "timestamp('2021-03-04T05:06:07.008Z').getDate() == 4 && timestamp('2021-03-04T05:06:07.008Z').getDayOfMonth() == 3",
    "timestamp('2021-03-04T05:06:07.008Z').getHours('+02:30') == 7 && timestamp('2021-03-04T05:06:07.008Z').getMilliseconds() == 8",
    "timestamp('2021-01-01T00:00:00Z') + duration('1h') > timestamp('2021-01-01T00:30:00Z')",
    "timestamp('2021-01-02T00:00:00Z') - timestamp('2021-01-01T00:00:00Z') == duration('24h')",
    "duration('1h30m').getMinutes() == 90 && duration('1.5s') == duration('1500ms') && -1 < 0",
    "'tacocat'.charAt(3) == 'o' && 'hello mellow'.indexOf('ello', 2) == 7 && 'hello mellow'.lastIndexOf('ello') == 7",
    "'hello mellow'.lastIndexOf('ello', 6) == 1 && 'abc'.indexOf('z') == -1",
    "['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab' && 'TacoCat'.lowerAscii() == 'tacocat' && 'a'.upperAscii() == 'A'",
    "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
    "'hello hello hello'.split(' ') == ['hello', 'hello', 'hello'] && 'a b c'.split(' ', 2) == ['a', 'b c'] && 'abc'.split('') == ['a', 'b', 'c']",
    "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && '  trim\\n'.trim() == 'trim'",
    "'%s is %d, %.2f, %x, %b'.format([dyn('a'), 5, 1.5, 255, 5]) == 'a is 5, 1.50, ff, 101'",
    r#"'%s'.format([[1, 2]]) == '[1, 2]' && strings.quote('a"b') == '"a\\"b"' && '100%%'.format([]) == '100%'"#,
    "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 1, 2], [2, 1]) && sets.intersects([1], [1, 2]) && !sets.intersects([1], [])",
    "xs.isSorted() && xs.sum() == 6 && xs.min() == 1 && xs.max() == 3 && xs.indexOf(2) == 1 && [1, 1].lastIndexOf(1) == 1",
    "xs.slice(1, 3) == [2, 3] && [[1], [2]].flatten() == [1, 2] && lists.range(3) == [0, 1, 2] && [3, 1].sort() == [1, 3]",
    "[1, 1, 2].distinct() == [1, 2] && xs.reverse() == [3, 2, 1] && ['bb', 'a'].sortBy(x, size(x)) == ['a', 'bb']",
    "xs.includes(2) && !'a'.includes('b')",
    "'abc 123'.find('[0-9]+') == '123' && '1 2 3'.findAll('[0-9]', 2) == ['1', '2'] && 'x'.find('y') == ''",
    "url('https://u@example.com:80/p a?q=1&q=2').getHost() == 'example.com:80' && url('https://example.com:80/').getPort() == '80'",
    "url('https://[::1]:80/').getHostname() == '::1' && url('https://e.com/a?k=v&k=w').getQuery() == {'k': ['v', 'w']} && url('/path').getScheme() == ''",
    "isURL('https://example.com') && !isURL('../relative') && url('https://e.com/with space').getEscapedPath() == '/with%20space'",
    "ip('192.168.0.1').family() == 4 && ip('127.0.0.1').isLoopback() && isIP('::1') && !isIP('1.2.3') && ip.isCanonical('::1')",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16')) && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",
    "cidr('10.0.0.0/8').prefixLength() == 8 && cidr('10.0.0.1/8').ip() == ip('10.0.0.1') && string(ip('::1')) == '::1' && !isCIDR('10.0.0.0')",
    "quantity('1Ki') == quantity('1024') && quantity('50M').isGreaterThan(quantity('50Ki')) && quantity('1.5').add(quantity('500m')).asInteger() == 2",
    "!quantity('1.5').isInteger() && quantity('-1').sign() == -1 && quantity('1k').compareTo(quantity('1000')) == 0 && isQuantity('1e3') && !isQuantity('1x')",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-alpha').compareTo(semver('1.0.0')) == -1 && semver('v1', true).major() == 1 && !isSemver('1.0')",
    "format.dns1123Label().validate('my-label').hasValue() == false && format.dns1123Label().validate('My').value().size() == 1",
    "format.named('uuid').value().validate('123').hasValue() && !format.named('none').hasValue() && !format.qualifiedName().validate('a.b/c').hasValue()",
    "dyn(1) == 1 && d.s == 'x' && d.a.n == null",
    "[[1, 2], [3]].all(l, l.all(x, x > 0)) && [1, 2].exists(x, [x].exists(x, x == 2))",
    "// a comment\n true",
    "{'a': {'b': 1}}.a.b == 1 && [1, 2,].size() == 2",
];

#[test]
fn expressions_that_are_true() {
    for text in TRUE {
        assert_eq!(evaluated(text), Ok("true".to_owned()), "{text}");
    }
}

#[test]
fn errors_of_evaluation() {
    let table = [
        ("1 / 0 == 1", "division by zero"),
        ("1 % 0 == 1", "modulus by zero"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("-(-9223372036854775808) > 0", "integer overflow"),
        ("0u - 1u > 0u", "unsigned integer overflow"),
        ("xs[5] == 1", "index out of bounds: 5"),
        ("d.z == 1", "no such key: z"),
        ("{'a': 1}['b'] == 1", "no such key: b"),
        ("int('x') == 1", "type conversion error from 'string' to 'int'"),
        ("optional.none().value()", "optional.none() dereference"),
        ("dyn('a') < dyn(1)", "no such overload: _<_"),
        ("'abc'.charAt(9) == ''", "index out of range: 9"),
        ("{'a': 1, 'a': 2}.size() == 1", "insert failed: key already exists"),
        ("[1].filter(x, x > 5).min() == 1", "min called on empty list"),
    ];
    for (text, why) in table {
        assert_eq!(evaluated(text), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn errors_of_compilation_say_where() {
    let table = [
        ("d.a && unknown", "ERROR: <input>:1:8: undeclared reference to 'unknown' (in container '')\n | d.a && unknown\n | .......^"),
        ("s + 1", "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(string, int)'\n | s + 1\n | ..^"),
        ("s.startsWith(1)", "ERROR: <input>:1:13: found no matching overload for 'startsWith' applied to 'string.(int)'\n | s.startsWith(1)\n | ............^"),
        ("s.field", "ERROR: <input>:1:2: type 'string' does not support field selection\n | s.field\n | .^"),
        (
            "s.all(x, true)",
            "ERROR: <input>:1:1: expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)\n | s.all(x, true)\n | ^",
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        ("nothing()", "ERROR: <input>:1:8: undeclared reference to 'nothing' (in container '')\n | nothing()\n | .......^"),
        ("s.matches('(')", "ERROR: <input>:1:11: invalid matches argument\n | s.matches('(')\n | ..........^"),
        ("duration('x') > duration('1s')", "ERROR: <input>:1:10: invalid duration argument\n | duration('x') > duration('1s')\n | .........^"),
        ("\n  for", "ERROR: <input>:2:3: Syntax error: reserved identifier: for\n |   for\n | ..^"),
    ];
    for (text, wanted) in table {
        assert_eq!(Program::compile(&environment(), text).map(|_| ()).map_err(|e| e.message), Err(wanted.to_owned()), "{text}");
    }
    for text in [
        "",
        "1 +",
        "(",
        "a.",
        "[1",
        "{1}",
        "'",
        "1 2",
        "has(s)",
        "xs.map(1, 2)",
        "xs.all(x, x)",
        "\u{0}",
        "9223372036854775808",
        "0x",
        "`a`",
        "xs.exists(x, 1)",
    ] {
        assert!(Program::compile(&environment(), text).is_err(), "{text}");
    }
}

#[test]
fn hostile_expressions_end() {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let many = |part: &str, between: &str, n: usize| vec![part; n].join(between);
    for text in [
        deep("(", ")", 40_000),
        deep("[", "]", 40_000),
        deep("-", "", 90_000),
        deep("!", "", 90_000),
        many("1", "+", 40_000),
        many("a", ".", 40_000),
        many("xs", "?xs:", 20_000),
        "x".repeat(100_001),
        many("[1].all(x, ", "", 8000),
    ] {
        assert!(Program::compile(&environment(), &text).is_err());
    }
    // the deepest that are accepted have enough stack
    for text in [deep("(", ")", 148), many("1", "+", 140), many("[1].all(x, ", "", 45)] {
        let closed = if text.starts_with("[1].all") { format!("{text} true{}", ")".repeat(45)) } else { format!("[{text}].size() == 1") };
        assert_eq!(evaluated(&closed), Ok("true".to_owned()));
    }
    let wide = many("true", "||", 10_000);
    assert_eq!(evaluated(&wide), Ok("true".to_owned()));
}

#[test]
fn budgets_hold() {
    let over = |text: &str| evaluated(text).unwrap_err();
    let cost = EvalError::CostLimit.to_string();
    let list = "[1,2,3,4,5,6,7,8,9,10]";
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, {list}.all(e, {list}.all(f, true))))))");
    assert_eq!(over(&nested), cost);
    assert_eq!(over("lists.range(2000000).size() == 1"), cost);
    let mut doubled = "optional.of([1])".to_owned();
    (0..40).for_each(|_| doubled += ".optMap(x, x + x)");
    assert_eq!(over(&format!("{doubled}.hasValue()")), EvalError::Memory.to_string());
    let mut shared = "optional.of(dyn([1]))".to_owned();
    (0..40).for_each(|_| shared += ".optMap(x, dyn([x, x]))");
    assert_eq!(over(&format!("{shared} == {shared}")), EvalError::Memory.to_string());
    let mut types = "optional.of([1])".to_owned();
    (0..40).for_each(|_| types += ".optMap(x, {x: x})");
    assert!(evaluated(&format!("{types}.hasValue()")).is_err());
}

#[test]
fn estimates_are_those_of_kubernetes() {
    let list = |items: Declaration, max_elements: u64| Declaration { shape: DeclaredShape::List(items.into(), Merge::Atomic), max_elements };
    let text = |max_elements: u64| Declaration { shape: DeclaredShape::Simple(Type::String), max_elements };
    let int = Declaration { shape: DeclaredShape::Simple(Type::Int), max_elements: 0 };
    let env = Environment::new().with("s", text(1000)).with("l", list(int, 10)).with("t", list(text(50), 20));
    // from cel-go: a variable is 1, a constant 0; `all` is 1 for its result, and 3 beside the step for each element
    let table = [
        ("true", 0),
        ("s == 'abc'", 2),
        ("s.startsWith('abcdefghijklmnopqrst')", 3),
        ("s.matches('[a-z]+')", 1 + 101 * 2),
        ("s.contains('abc')", 1 + 100),
        ("l.all(x, x > 0)", 1 + 1 + 10 * (3 + 2)),
        ("l.exists(x, x > 0)", 1 + 1 + 10 * (4 + 2)),
        ("t.all(x, x.startsWith('a'))", 1 + 1 + 20 * (3 + 2)),
        ("l.all(x, l.all(y, x == y))", 2 + 10 * (3 + 2 + 10 * (3 + 2))),
        ("l.map(x, x + 1).size() > 0", 1 + 11 + 10 * (12 + 2) + 1 + 1),
        ("1 in l", 1 + 10),
        ("s.size() > 1 ? s.size() < 5 : true", 3 + 3),
    ];
    for (text, cost) in table {
        let program = Program::compile(&env, text).unwrap();
        assert_eq!(program.estimate(&env), cost, "{text}");
    }
}

#[test]
fn a_range_that_is_left_early_costs_little() {
    assert_eq!(evaluated("lists.range(5000).slice(0, 300).all(x, lists.range(100).exists(y, true))"), Ok("true".to_owned()));
}

#[test]
fn loops_that_cost_nothing_end() {
    let text = "optional.of(lists.range(3000)).optMap(r, r.exists_one(x, r.exists_one(y, r.exists_one(z, false)))).value()";
    let program = Program::compile(&environment(), text).unwrap();
    assert_eq!(program.evaluate(&[], &mut Budget::new(20_000)).map(|_| ()), Err(EvalError::CostLimit));
}
