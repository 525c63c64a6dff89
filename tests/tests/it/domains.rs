//! One file for each domain that was generated. A file that lies in the folder belongs to the tests; no list names it.

automod::dir!("tests/it/domains");
