//! The page: one file, which asks for nothing but its events.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// Style, markup and script, put together at compile time.
const PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<title>Pressure</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>",
    include_str!("page/page.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("page/page.html"),
    "<script>\"use strict\";\n(() => {\n",
    include_str!("page/format.js"),
    include_str!("page/model.js"),
    include_str!("page/layout.js"),
    include_str!("page/charts.js"),
    include_str!("page/shares.js"),
    include_str!("page/graph.js"),
    include_str!("page/parts.js"),
    include_str!("page/detail.js"),
    include_str!("page/main.js"),
    "})();\n</script>\n</body>\n</html>\n",
);

/// Nothing is loaded from anywhere, and nothing runs but this style and this script, which are named by their hashes.
const POLICY: &str = concat!(
    "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; ",
    "style-src 'sha256-eEe25HJXSpNgmLIinUoP4Y8vR6p6H037I7iSaPqv/+M='; script-src 'sha256-v2UMhapqxc08NyMjmHSkINuyrdtoIkLSNoeCYH67fKg='",
);

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

pub(super) async fn page() -> Response {
    let mut response = Response::new(Body::from(PAGE));
    response.headers_mut().extend(HEADERS);
    response
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// What stands between `<tag>` and `</tag>`.
    fn inside(tag: &str) -> &'static str {
        let (_, rest) = PAGE.split_once(&format!("<{tag}>")).unwrap();
        rest.split_once(&format!("</{tag}>")).unwrap().0
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_by_their_hashes() {
        for tag in ["style", "script"] {
            let source = format!("{tag}-src 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(inside(tag))));
            assert!(POLICY.contains(&source), "the page has changed; its policy has to say {source}");
        }
    }

    #[test]
    fn the_page_is_small_and_loads_nothing() {
        assert!(PAGE.len() < 100_000, "{} bytes", PAGE.len());
        for word in ["src=", "@import", "url(", "http://", "https://", "innerHTML", "insertAdjacentHTML", "eval("] {
            let found = PAGE.replace("http://www.w3.org/2000/svg", "").contains(word);
            assert!(!found, "the page has {word}");
        }
    }
}
