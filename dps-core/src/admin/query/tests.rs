use proptest::prelude::*;

use super::filter::Compare;
use super::filter::{Condition, Field, Literal, Test};
use super::*;
use crate::time::Timestamp;

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(Listing::Enrollments, text)
}

fn condition(text: &str) -> Condition {
    let query = parse(&format!("SELECT * WHERE {text}")).unwrap();
    assert_eq!(query.warning, None, "{text}");
    query.filter.unwrap().0
}

fn is(id: &str) -> Condition {
    let value = Literal::Text(id.into());
    Condition::Test(Field::RegistrationId, Test::Compare(Compare::Eq, value))
}

#[test]
fn everything_is_asked_for_in_many_ways() {
    for text in [
        "",
        "  ",
        "SELECT *",
        "select*",
        "SELECT * FROM enrollments",
        "sElEcT * FrOm enrollmentGroups",
    ] {
        assert_eq!(parse(text), Ok(Query::all(Listing::Enrollments)), "{text}");
    }
}

#[test]
fn a_text_that_is_not_understood_and_has_no_where_asks_for_all_and_says_so() {
    for (text, at) in [
        ("nonsense", 0),
        ("SELECT", 6),
        ("SELECT registrationId FROM enrollments", 7),
        ("SELECT * FROM", 13),
        ("SELECT * FROM 'x'", 14),
        ("SELECT * FROM enrollments ORDER BY registrationId", 26),
        ("SELECT * FROM a, b", 15),
        ("SELECT * FROM enrollments;", 25),
        ("SELECT * 'open", 9),
        ("select * from nowhere_else x", 27),
        ("d\u{e9}j\u{e0} vu", 0),
    ] {
        let query = parse(text).unwrap();
        let warning = query.warning.expect(text);
        assert_eq!((query.filter, warning.at), (None, at), "{text}");
        assert!(warning.to_string().is_ascii());
    }
    let long = "x".repeat(MAX_QUERY_BYTES + 1);
    assert!(parse(&long).unwrap().warning.is_some());
}

#[test]
fn a_where_that_is_not_understood_is_an_error_that_says_where() {
    for (text, at) in [
        ("SELECT * WHERE", 14),
        ("SELECT * WHERE ", 15),
        ("SELECT registrationId WHERE registrationId = 'a'", 7),
        ("WHERE registrationId = 'a'", 0),
        ("SELECT * FROM WHERE registrationId = 'a'", 20),
        ("SELECT * WHERE nosuchfield = 'a'", 15),
        ("SELECT * WHERE enrollmentGroupId = 'a'", 15),
        ("SELECT * WHERE registrationId", 29),
        ("SELECT * WHERE registrationId =", 31),
        ("SELECT * WHERE registrationId = a", 32),
        ("SELECT * WHERE registrationId = 5", 32),
        ("SELECT * WHERE registrationId = 'a' b", 36),
        ("SELECT * WHERE registrationId = 'a", 32),
        (r"SELECT * WHERE registrationId = 'a\q'", 34),
        (r"SELECT * WHERE registrationId = '\u12'", 33),
        (r"SELECT * WHERE registrationId = '\ud800'", 33),
        ("SELECT * WHERE 'a' = registrationId", 15),
        ("SELECT * WHERE registrationId IN ()", 34),
        ("SELECT * WHERE registrationId IN ('a'", 37),
        ("SELECT * WHERE registrationId IN ('a']", 37),
        ("SELECT * WHERE registrationId IN 'a'", 33),
        ("SELECT * WHERE registrationId NOT = 'a'", 34),
        ("SELECT * WHERE provisioningStatus = 'on'", 36),
        ("SELECT * WHERE provisioningStatus < 'enabled'", 34),
        ("SELECT * WHERE STARTSWITH(registrationId)", 40),
        ("SELECT * WHERE STARTSWITH registrationId", 26),
        ("SELECT * WHERE STARTSWITH(createdDateTimeUtc, 'a')", 44),
        ("SELECT * WHERE createdDateTimeUtc > 'yesterday'", 36),
        ("SELECT * WHERE createdDateTimeUtc > 5", 36),
        ("SELECT * WHERE (registrationId = 'a'", 36),
        ("SELECT * WHERE registrationId = 'a')", 35),
        ("SELECT * WHERE registrationId = 'a' ORDER BY x", 36),
        ("SELECT * WHERE registrationId == 'a'", 31),
        ("SELECT * WHERE registrationId = 'a' AND", 39),
        ("SELECT * WHERE NOT", 18),
        ("SELECT * WHERE registrationId # 'a'", 30),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().is_ascii());
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let [a, b, c] = ["a", "b", "c"].map(is);
    let not = |one: &Condition| Condition::Not(Box::new(one.clone()));
    let text = "registrationId = 'a' OR NOT registrationId = 'b' AND registrationId = 'c'";
    let both = Condition::All(vec![not(&b), c.clone()]);
    assert_eq!(condition(text), Condition::Any(vec![a.clone(), both]));
    let text = "(registrationId='a' or registrationId='b')and not(registrationId='c')";
    let either = Condition::Any(vec![a, b]);
    assert_eq!(condition(text), Condition::All(vec![either, not(&c)]));
}

#[test]
fn values_are_read_as_their_field_is_compared() {
    for (text, field, test) in [
        (
            r#"REGISTRATIONID = "Press-1""#,
            Field::RegistrationId,
            Test::Compare(Compare::Eq, Literal::Text("press-1".into())),
        ),
        (
            r"deviceId <> 'It\'s\u0041\\\u00e9'",
            Field::DeviceId,
            Test::Compare(Compare::Ne, Literal::Text(r"It'sA\é".into())),
        ),
        (
            "Attestation.Type in ['X509', \"TPM\"]",
            Field::AttestationType,
            Test::In(vec![
                Literal::Text("x509".into()),
                Literal::Text("tpm".into()),
            ]),
        ),
        (
            "startswith(iotHubs, 'A.')",
            Field::IotHubs,
            Test::StartsWith(Literal::Text("a.".into())),
        ),
        (
            "createdDateTimeUtc >= '2026-11-21'",
            Field::Created,
            Test::Compare(Compare::Ge, Literal::Moment(Timestamp(1_795_219_200_000))),
        ),
        (
            "lastUpdatedDateTimeUtc<'2026-11-21T00:00:00.5Z'",
            Field::Updated,
            Test::Compare(Compare::Lt, Literal::Moment(Timestamp(1_795_219_200_500))),
        ),
    ] {
        assert_eq!(condition(text), Condition::Test(field, test), "{text}");
    }
}

#[test]
fn each_list_has_its_own_fields() {
    use Listing::{Enrollments, Groups, Registrations, RegistrationsOf};
    let of = RegistrationsOf(GroupId::parse("presses").unwrap());
    let lists = [Enrollments, Groups, Registrations, of];
    let having = |field: &str, value: &str| {
        lists.clone().map(|listing| {
            let text = format!("SELECT * WHERE {field} = '{value}'");
            Query::parse(listing, &text).is_ok()
        })
    };
    let (y, n) = (true, false);
    assert_eq!(having("registrationId", "a"), [y, n, y, y]);
    assert_eq!(having("enrollmentGroupId", "a"), [n, y, y, y]);
    assert_eq!(having("deviceId", "a"), [y, n, y, y]);
    assert_eq!(having("provisioningStatus", "enabled"), [y, y, n, n]);
    assert_eq!(having("iotHubs", "a"), [y, y, n, n]);
    assert_eq!(having("allocationPolicy", "geolatency"), [y, y, n, n]);
    assert_eq!(having("attestation.type", "tpm"), [y, y, n, n]);
    assert_eq!(having("createdDateTimeUtc", "2026-11-21"), [y; 4]);
    assert_eq!(having("lastUpdatedDateTimeUtc", "2026-11-21"), [y; 4]);
    assert_eq!(having("status", "assigned"), [n, n, y, y]);
    assert_eq!(having("assignedHub", "a"), [n, n, y, y]);
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        parse(&format!("SELECT * WHERE {open}registrationId='a'{close}"))
    };
    assert!(nested(MAX_QUERY_DEPTH).is_ok());
    assert_eq!(
        nested(MAX_QUERY_DEPTH + 1).unwrap_err().at,
        15 + MAX_QUERY_DEPTH
    );
    assert!(nested(4_000).is_err());
    let negated = |depth: usize| {
        let not = "NOT ".repeat(depth);
        parse(&format!("SELECT * WHERE {not}registrationId='a'"))
    };
    assert!(negated(MAX_QUERY_DEPTH).is_ok());
    assert!(negated(MAX_QUERY_DEPTH + 1).is_err());
    let among = |count: usize| {
        let values = vec!["'a'"; count].join(",");
        parse(&format!("SELECT * WHERE registrationId IN ({values})"))
    };
    assert!(among(MAX_QUERY_VALUES).is_ok());
    assert!(among(MAX_QUERY_VALUES + 1).is_err());
    let long = |bytes: usize| {
        let text = "SELECT * WHERE registrationId='a'";
        parse(&format!("{text}{}", " ".repeat(bytes - text.len())))
    };
    assert!(long(MAX_QUERY_BYTES).is_ok());
    assert_eq!(long(MAX_QUERY_BYTES + 1).unwrap_err().at, MAX_QUERY_BYTES);
}

#[test]
fn a_position_is_read_back_for_its_list_and_for_no_other() {
    let group = |id: &str| Listing::RegistrationsOf(GroupId::parse(id).unwrap());
    let lists = [
        Listing::Enrollments,
        Listing::Groups,
        Listing::Registrations,
        group("presses"),
        group("press"),
    ];
    for listing in &lists {
        let position = Position {
            listing: listing.clone(),
            after: "press-1".into(),
        };
        let token = position.to_string();
        assert!(token.len() <= 1024);
        for other in &lists {
            let read = Position::parse(other, &token);
            assert_eq!(read.is_ok(), other == listing, "{token}");
        }
        assert_eq!(Position::parse(listing, &token), Ok(position));
    }
    assert!(Position::parse(&group("PRESSES"), "MW0vcHJlc3Nlcy9wcmVzcy0x").is_ok());
}

#[test]
fn what_is_made_up_is_no_position() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let made_up = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    for token in [
        String::new(),
        "!".to_owned(),
        "MWUvYQ==".to_owned(),
        "MWUvYR".to_owned(),
        made_up(b"1e/"),
        made_up(b"2e/press-1"),
        made_up(b"1e/Press-1"),
        made_up(b"1e/press-1/other"),
        made_up(b"1e/press\xff"),
        made_up(format!("1e/{}", "a".repeat(129)).as_bytes()),
        "A".repeat(2_000_000),
    ] {
        assert_eq!(
            Position::parse(&Listing::Enrollments, &token),
            Err(PositionError)
        );
    }
    let id = "a".repeat(128);
    let longest = Listing::RegistrationsOf(GroupId::parse(&id).unwrap());
    let token = Position {
        listing: longest.clone(),
        after: id.into(),
    };
    let token = token.to_string();
    assert!(token.len() <= 348 && Position::parse(&longest, &token).is_ok());
}

fn literals(field: Field) -> BoxedStrategy<Literal> {
    match field {
        Field::Created | Field::Updated => (0..4_000_000_000_000_u64)
            .prop_map(|ms| Literal::Moment(Timestamp(ms)))
            .boxed(),
        Field::ProvisioningStatus => prop_oneof!["enabled", "disabled"]
            .prop_map(|text: String| Literal::Text(text.into()))
            .boxed(),
        Field::DeviceId => any::<String>()
            .prop_map(|text| Literal::Text(text.into()))
            .boxed(),
        _ => any::<String>()
            .prop_map(|text| Literal::Text(text.to_ascii_lowercase().into()))
            .boxed(),
    }
}

fn tests() -> impl Strategy<Value = Condition> {
    let fields = proptest::sample::select(vec![
        Field::RegistrationId,
        Field::DeviceId,
        Field::ProvisioningStatus,
        Field::IotHubs,
        Field::Created,
        Field::Updated,
    ]);
    fields.prop_flat_map(|field| {
        let compare = proptest::sample::select(vec![
            Compare::Eq,
            Compare::Ne,
            Compare::Lt,
            Compare::Le,
            Compare::Gt,
            Compare::Ge,
        ]);
        let literal = literals(field);
        let compared =
            (compare, literal.clone()).prop_map(|(compare, value)| Test::Compare(compare, value));
        let listed = proptest::collection::vec(literal.clone(), 1..4).prop_map(Test::In);
        let test = match field {
            Field::ProvisioningStatus => prop_oneof![
                literal.prop_map(|value| Test::Compare(Compare::Ne, value)),
                listed
            ]
            .boxed(),
            Field::Created | Field::Updated => prop_oneof![compared, listed].boxed(),
            _ => prop_oneof![compared, listed, literal.prop_map(Test::StartsWith)].boxed(),
        };
        test.prop_map(move |test| Condition::Test(field, test))
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    tests().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
            inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(condition in conditions()) {
        let filter = Some(Filter(condition));
        let query = Query { listing: Listing::Enrollments, filter, warning: None };
        let text = query.to_string();
        prop_assume!(text.len() <= MAX_QUERY_BYTES);
        prop_assert_eq!(parse(&text), Ok(query));
    }

    #[test]
    fn any_text_is_a_query_or_an_error(text in any::<String>()) {
        let _ = (parse(&text), parse(&format!("SELECT * WHERE {text}")));
    }

    #[test]
    fn words_in_any_order_are_a_query_or_an_error(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "SELECT", "*", "FROM", "x", "WHERE", "registrationId", "=", "'a'", "AND", "OR", "NOT",
            "(", ")", "IN", ",", "STARTSWITH", "createdDateTimeUtc", "'2026-11-21'", "\"", "5", "\\",
        ]), 0..30))
    {
        let text = words.join(" ");
        if let Err(error) = parse(&text) {
            prop_assert!(error.at <= text.len() && words.contains(&"WHERE"));
        }
    }

    #[test]
    fn any_text_is_a_position_or_an_error(text in any::<String>()) {
        if let Ok(position) = Position::parse(&Listing::Groups, &text) {
            prop_assert_eq!(position.to_string(), text);
        }
    }
}
