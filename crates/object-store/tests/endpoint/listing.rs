//! `ListObjectsV2`.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

use crate::support::{BUCKET, Server, directory, put};

const KEYS: [&str; 7] = ["a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c", "d & <e>"];

fn keys(listed: &ListObjectsV2Output) -> Vec<&str> {
    listed.contents().iter().filter_map(|object| object.key()).collect()
}

fn prefixes(listed: &ListObjectsV2Output) -> Vec<&str> {
    listed.common_prefixes().iter().filter_map(|common| common.prefix()).collect()
}

async fn filled(server: &Server) -> aws_sdk_s3::Client {
    let client = server.client();
    for key in KEYS.iter().rev() {
        put(&client, key, key.as_bytes()).await;
    }
    client
}

#[tokio::test]
async fn keys_come_in_order_with_what_is_known_of_them() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = filled(&server).await;
    let all = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(keys(&all), KEYS);
    assert_eq!((all.key_count(), all.is_truncated()), (Some(7), Some(false)));
    let first = &all.contents()[0];
    assert_eq!(
        (first.size(), first.e_tag()),
        (Some(3), Some(format!("\"{}\"", crate::support::hex_md5(b"a/1")).as_str()))
    );

    let some =
        client.list_objects_v2().bucket(BUCKET).prefix("b/").start_after("b/x/1").send().await.unwrap();
    assert_eq!(keys(&some), ["b/x/2", "b/y"]);
    let none = client.list_objects_v2().bucket(BUCKET).max_keys(0).send().await.unwrap();
    assert_eq!((keys(&none).len(), none.is_truncated()), (0, Some(false)));
    let encoded = client.list_objects_v2().bucket(BUCKET).prefix("d").encoding_type(EncodingType::Url);
    assert_eq!(keys(&encoded.send().await.unwrap()), ["d%20%26%20%3Ce%3E"]);
    let token = client.list_objects_v2().bucket(BUCKET).continuation_token("!").send().await.unwrap_err();
    assert_eq!(token.code(), Some("InvalidArgument"));
}

#[tokio::test]
async fn a_delimiter_folds_keys_into_prefixes() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = filled(&server).await;
    let top = client.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    assert_eq!((keys(&top), prefixes(&top)), (vec!["c", "d & <e>"], vec!["a/", "b/"]));
    let below = client.list_objects_v2().bucket(BUCKET).delimiter("/").prefix("b/").send().await.unwrap();
    assert_eq!((keys(&below), prefixes(&below)), (vec!["b/y"], vec!["b/x/"]));
    let partly =
        client.list_objects_v2().bucket(BUCKET).delimiter("/").start_after("a/1").send().await.unwrap();
    assert_eq!(prefixes(&partly), ["a/", "b/"]);
}

#[tokio::test]
async fn pages_miss_nothing_and_repeat_nothing() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = filled(&server).await;
    for (delimiter, expected) in [(None, KEYS.to_vec()), (Some("/"), vec!["a/", "b/", "c", "d & <e>"])] {
        let mut seen = Vec::new();
        let request = client.list_objects_v2().bucket(BUCKET).max_keys(1);
        let mut pages = request.set_delimiter(delimiter.map(str::to_owned)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert_eq!(page.key_count(), Some(1));
            seen.extend(keys(&page).into_iter().chain(prefixes(&page)).map(str::to_owned));
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn old_clients_list_by_marker() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    for key in ["a", "b/1", "b/2", "c", "d ü"] {
        put(&client, key, b"v").await;
    }
    let (mut keys, mut marker) = (Vec::new(), None);
    loop {
        let list = client.list_objects().bucket(BUCKET).delimiter("/").max_keys(2).set_marker(marker.take());
        let page = list.send().await.unwrap();
        keys.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        if page.is_truncated() != Some(true) {
            break;
        }
        marker = page.next_marker().map(str::to_owned);
    }
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b/", "c", "d ü"]);
    let page = client.list_objects().bucket(BUCKET).prefix("b/").marker("b/1").send().await.unwrap();
    assert_eq!(page.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(), ["b/2"]);
}
