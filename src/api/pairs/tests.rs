//! What is pairs, and what is not.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::*;

#[derive(Serialize)]
enum Sort {
    #[serde(rename = "name desc")]
    Name,
    By(u8),
}

#[derive(Serialize)]
struct Id(u32);

#[derive(Serialize)]
struct Search {
    q: &'static str,
    page: Option<u32>,
    size: Option<u32>,
    tags: Vec<&'static str>,
    sort: Sort,
    id: Id,
}

#[test]
fn pairs_maps_and_structs_are_pairs() {
    // SPEC Q3, B3
    let search = Search {
        q: "a b&c=ü+",
        page: Some(2),
        size: None,
        tags: vec!["x", "y z"],
        sort: Sort::Name,
        id: Id(7),
    };
    assert_eq!(
        encode(&search).unwrap(),
        "q=a+b%26c%3D%C3%BC%2B&page=2&tags=x&tags=y+z&sort=name+desc&id=7"
    );
    assert_eq!(encode(&[("a", 1), ("b", 2)]).unwrap(), "a=1&b=2");
    assert_eq!(encode(&(("a", 1), ("b", true))).unwrap(), "a=1&b=true");
    assert_eq!(encode(&[["a", "b"]]).unwrap(), "a=b");
    let map = BTreeMap::from([(2, 'x'), (1, 'y')]);
    assert_eq!(encode(&map).unwrap(), "1=y&2=x");
    assert_eq!(encode(&Some(&map)).unwrap(), "1=y&2=x");
    let value = json!({"list": [1, "two", null, 3.5], "none": null, "empty": []});
    assert_eq!(encode(&value).unwrap(), "list=1&list=two&list=3.5");
}

#[test]
fn numbers_have_their_shortest_form() {
    // SPEC Q3
    assert_eq!(
        encode(&[("a", 1.0), ("b", 0.1), ("c", 1e300)]).unwrap(),
        "a=1.0&b=0.1&c=1e300"
    );
    assert_eq!(encode(&[("a", 0.1_f32)]).unwrap(), "a=0.1");
    assert_eq!(
        encode(&[("a", i128::MIN)]).unwrap(),
        format!("a={}", i128::MIN)
    );
}

#[test]
fn nothing_is_no_pair() {
    // SPEC Q3
    for nothing in [
        encode(&[("a", None::<u8>)]),
        encode(&[("a", [0_u8; 0])]),
        encode(&[("a", ())]),
        encode(&()),
        encode(&None::<[(u8, u8); 1]>),
        encode(&[(0, 0); 0]),
    ] {
        assert_eq!(nothing.unwrap(), "");
    }
}

#[test]
fn what_is_no_pairs_is_refused() {
    // SPEC Q3
    for refused in [
        encode("a=b"),
        encode(&1),
        encode(&Sort::By(1)),
        encode(&Sort::Name),
        encode(&[1, 2]),
        encode(&["a", "b"]),
        encode(&[("a",)]),
        encode(&[("a", 1, 2)]),
        encode(&[("a", [[1]])]),
        encode(&[([1], 1)]),
        encode(&[(None::<u8>, 1)]),
        encode(&[("a", f64::NAN)]),
        encode(&[("a", f32::INFINITY)]),
        encode(&[("a", Sort::By(1))]),
        encode(&[("a", json!({"b": 1}))]),
        encode(&[Some(())]),
        encode(&[json!({"a": 1})]),
        encode(&[("a", serde_bytes(b"\xff"))]),
    ] {
        assert!(!refused.unwrap_err().to_string().is_empty());
    }
}

fn serde_bytes(bytes: &[u8]) -> impl Serialize {
    struct Raw(Vec<u8>);

    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(&self.0)
        }
    }

    Raw(bytes.to_vec())
}
