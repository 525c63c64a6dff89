//! The URLs of the files that rows refer to, on a real database.

use std::error::Error as _;

use sea_orm::ConnectionTrait as _;
use sea_orm::sea_query::SelectStatement;
use shared_kernel::error::DomainError as _;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::testing::TestDatabase;
use upload_port::testing::{FakeFiles, upload_of};
use upload_port::{Files, FilesError, LinkedFile, StoredFile, UploadId};

/// Cannot make a URL.
#[derive(Debug)]
struct Broken;

impl Files for Broken {
    fn select(&self, ids: &[UploadId]) -> SelectStatement {
        FakeFiles.select(ids)
    }

    fn url(&self, _: &StoredFile) -> Result<String, FilesError> {
        Err(FilesError("no key".into()))
    }
}

#[tokio::test]
async fn existing_files_have_urls_and_metadata() {
    let database = TestDatabase::new::<migration::Migrator>().await;
    let ada = database.user().await;
    let (a, b, deleted) = (
        upload_of(&database, &ada).await,
        upload_of(&database, &ada).await,
        upload_of(&database, &ada).await,
    );
    let pending = upload_of(&database, &ada).await;
    for sql in [
        format!("UPDATE uploads SET deleted_at = updated_at WHERE id = '{deleted}'"),
        format!("UPDATE uploads SET status = 'pending' WHERE id = '{pending}'"),
    ] {
        database.primary().execute_unprepared(&sql).await.unwrap();
    }
    let unknown = UploadId::new(database.clock().now());
    let ids = [b, a, deleted, pending, unknown, a];
    let files = upload_port::linked_files(&FakeFiles, &database.read(None), ids).await.unwrap();
    let expected = |id| LinkedFile {
        url: format!("https://files.test/{id}"),
        filename: "harbour.png".to_owned(),
        content_type: "image/png".to_owned(),
        size: 48_213,
        width: None,
        height: None,
    };
    let expected = [a, b].map(|id| (id, expected(id)));
    assert_eq!(files.into_iter().collect::<Vec<_>>(), expected);
    let session = database.write();
    assert_eq!(upload_port::linked_files(&FakeFiles, &session, [a]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn for_no_files_nobody_is_asked() {
    let database = TestDatabase::empty().await;
    let session = database.write();
    assert_eq!(
        upload_port::linked_files(&FakeFiles, &session, [None]).await.unwrap(),
        upload_port::LinkedFiles::new()
    );
    assert!(format!("{session:?}").contains("begun: false"), "{session:?}");
}

#[tokio::test]
async fn a_url_that_cannot_be_made_is_our_own_fault() {
    let database = TestDatabase::new::<migration::Migrator>().await;
    let upload = upload_of(&database, &database.user().await).await;
    let error = upload_port::linked_files(&Broken, &database.read(None), [upload]).await.unwrap_err();
    assert!(matches!(error, KernelError::Port(_)), "{error:?}");
    assert_eq!(error.problem().code, "internal_error");
    assert_eq!(error.source().unwrap().to_string(), "no key");
}
