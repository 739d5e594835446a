//! ConversionReview of `apiextensions.k8s.io/v1`: custom resources are sent to a webhook to get another version, and what comes back is held against them.
use crate::review_version::ReviewVersion;
use crate::reviewed::Reviewed;
use model::{Object, meta};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The group of the review.
const GROUP: &str = "apiextensions.k8s.io";

/// What a webhook is asked to convert.
#[derive(Clone, Debug)]
pub struct ConversionRequest<'a> {
    /// In which version it is asked.
    pub version: ReviewVersion,
    /// Of this question: the answer repeats it.
    pub uid: &'a str,
    /// The version that is wanted: `stable.example.com/v1`.
    pub desired: &'a str,
    /// What to convert.
    pub objects: &'a [&'a Object],
    /// Whether they are those of a list or a watch, which errors tell.
    pub many: bool,
}

impl ConversionRequest<'_> {
    /// The review that is sent.
    ///
    /// # Errors
    /// One sentence, when it doesn't serialise.
    pub fn review(&self) -> Result<Vec<u8>, String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Request<'a> {
            uid: &'a str,
            #[serde(rename = "desiredAPIVersion")]
            desired: &'a str,
            objects: Vec<&'a Map<String, Value>>,
        }
        #[derive(Serialize)]
        struct Review<'a> {
            kind: &'a str,
            #[serde(rename = "apiVersion")]
            api_version: String,
            request: Request<'a>,
        }
        let request = Request { uid: self.uid, desired: self.desired, objects: self.objects.iter().map(|object| &object.0).collect() };
        serde_json::to_vec(&Review { kind: "ConversionReview", api_version: self.version.api_version(GROUP), request }).map_err(|e| e.to_string())
    }

    /// Reads an answer: the objects in the version wanted, in the order of the request. Of metadata a webhook may change labels and annotations only.
    ///
    /// # Errors
    /// One sentence about what is wrong with the answer, or what the webhook says that went wrong.
    pub fn answer(&self, body: &[u8]) -> Result<Vec<Object>, String> {
        let mut review: Reviewed<Response> = serde_json::from_slice(body).map_err(|e| format!("the answer is no ConversionReview: {e}"))?;
        let response = review.response.take().ok_or("no response provided")?;
        review.check(self.version, GROUP, "ConversionReview", self.uid, &response.uid)?;
        let result = Object(response.result.unwrap_or_default());
        match (result.str_at(&["status"]), result.str_at(&["message"])) {
            ("Success", _) => {}
            (status, "") => return Err(format!("response.result.status was '{status}', not 'Success'")),
            (_, why) => return Err(why.to_owned()),
        }
        let converted = response.converted_objects.unwrap_or_default();
        if converted.len() != self.objects.len() {
            return Err(format!("returned {} objects, expected {}", converted.len(), self.objects.len()));
        }
        converted.into_iter().zip(self.objects).enumerate().map(|(i, (new, old))| self.checked(i, Object(new), old)).collect()
    }

    /// What came back for one object: the same object, of the version wanted.
    fn checked(&self, i: usize, mut new: Object, old: &Object) -> Result<Object, String> {
        // Kubernetes speaks of an index even where there is one object, though not in each of these
        let (place, object, within) = if self.many {
            let place = format!("returned invalid converted object at index {i}");
            (place.clone(), place, format!("returned invalid metadata in object at index {i}"))
        } else {
            (format!("returned invalid object at index {i}"), "returned invalid object".to_owned(), "returned invalid metadata".to_owned())
        };
        if new.api_version() != self.desired {
            return Err(format!(
                "returned invalid converted object at index {i}: invalid groupVersion (expected {}, received {})",
                self.desired,
                new.api_version()
            ));
        }
        if new.kind() != old.kind() {
            return Err(format!("{place}: invalid kind (expected {}, received {})", old.kind(), new.kind()));
        }
        let Some(Value::Object(given)) = new.0.remove("metadata") else {
            return Err(format!("{within}: missing metadata in converted object"));
        };
        for (key, what) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
            let (was, is) = (old.str_at(&["metadata", key]), given.get(key).and_then(Value::as_str).unwrap_or_default());
            if was != is {
                return Err(format!("{object}: must have the same {what}: {was} != {is}"));
            }
        }
        new.set(&["metadata"], meta::with_words_of(old.at(&["metadata"]), &given));
        Ok(new)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    result: Option<Map<String, Value>>,
    #[serde(default)]
    converted_objects: Option<Vec<Map<String, Value>>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_comes_back_is_the_same_object() {
        let old = Object::from_value(
            json!({"apiVersion": "x.y/v1", "kind": "T", "metadata": {"name": "a", "uid": "1", "labels": {"a": "b"}, "resourceVersion": "7"}, "spec": 1}),
        );
        let old = old.unwrap();
        let objects = [&old];
        let request = ConversionRequest { version: ReviewVersion::V1, uid: "u", desired: "x.y/v2", objects: &objects, many: true };
        let answer = |uid: &str, result: Value, converted: Value| {
            let review = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
                "response": {"uid": uid, "result": result, "convertedObjects": converted}});
            request.answer(review.to_string().as_bytes())
        };
        let well = json!({"status": "Success"});
        let new = |name: &str, version: &str| json!([{"apiVersion": version, "kind": "T", "metadata": {"name": name, "uid": "1", "labels": {"c": "d"}, "resourceVersion": "8", "generation": 9}, "spec": 2}]);
        let got = answer("u", well.clone(), new("a", "x.y/v2")).unwrap();
        let want = json!({"apiVersion": "x.y/v2", "kind": "T", "metadata": {"name": "a", "uid": "1", "labels": {"c": "d"}, "resourceVersion": "7"}, "spec": 2});
        assert_eq!(Value::Object(got[0].0.clone()), want);
        for (uid, result, converted, why) in [
            ("v", well.clone(), new("a", "x.y/v2"), "expected response.uid"),
            ("u", json!({"status": "Failure", "message": "no"}), json!([]), "no"),
            ("u", Value::Null, json!([]), "not 'Success'"),
            ("u", well.clone(), json!([]), "returned 0 objects, expected 1"),
            ("u", well.clone(), new("a", "x.y/v1"), "invalid groupVersion"),
            ("u", well.clone(), new("b", "x.y/v2"), "must have the same name: a != b"),
            ("u", well, json!([{"apiVersion": "x.y/v2", "kind": "T"}]), "missing metadata"),
        ] {
            let error = answer(uid, result, converted).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
