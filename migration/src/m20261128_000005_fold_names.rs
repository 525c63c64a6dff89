//! Names are searched and sorted by their full case folding: `Straße` is found as `STRASSE`, `Οδυσσεύς` as `ΟΔΥΣΣΕΎΣ`. Until now it
//! was their lower case.
//!
//! What makes an address or a user name one account is as it was: it is ASCII in every row that there is.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use sea_orm_migration::prelude::*;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;

use crate::columns::rewrite;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rewrite(manager, "users", "name", "name_normalized", folded).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rewrite(manager, "users", "name", "name_normalized", lower).await
    }
}

/// `toNFKC_Casefold` (The Unicode Standard, section 3.13), as the kernel had it on that day.
fn folded(text: &str) -> String {
    let fold = |text: &str| UniCase::unicode(text).to_folded_case();
    let once: String = fold(&text.nfd().collect::<String>()).nfkd().collect();
    let unseen = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    fold(&once).chars().filter(|character| !unseen.contains(*character)).nfkc().collect()
}

/// What stood there before.
fn lower(text: &str) -> String {
    let once: String = text.nfkc().flat_map(char::to_lowercase).collect();
    once.nfkc().flat_map(char::to_lowercase).collect()
}
