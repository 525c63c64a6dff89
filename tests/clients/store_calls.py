"""The embedded object store, called by boto3 as it would call any other.

A test is a method; what is sent and asked stands in it.
"""

import os
import unittest
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024 * 1024
BUCKET = "ashlar"


def setting(name):
    return os.environ[f"ASHLAR_TEST_{name}"]


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = boto3.client(
            "s3",
            endpoint_url=setting("STORE_URL"),
            aws_access_key_id=setting("STORE_ACCESS_KEY"),
            aws_secret_access_key=setting("STORE_SECRET_KEY"),
            region_name="us-east-1",
            # Left to itself boto3 still signs URLs for us-east-1 in the old way, which no store has to know any more.
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def put(self, key, body=b"text", **more):
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.s3.get_object(Bucket=BUCKET, Key=key, **more)

    def refused(self, status, call, *args, **more):
        with self.assertRaises(ClientError) as caught:
            call(*args, **more)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], status)

    def test_an_object_is_put_read_and_deleted(self):
        put = self.put("one/text", b"0123456789", ContentType="text/plain", Metadata={"a": "b"})
        got = self.get("one/text")
        self.assertEqual(got["Body"].read(), b"0123456789")
        self.assertEqual((got["ETag"], got["ContentType"], got["Metadata"]), (put["ETag"], "text/plain", {"a": "b"}))
        self.assertEqual(self.get("one/text", Range="bytes=2-4")["Body"].read(), b"234")
        self.refused(304, self.get, "one/text", IfNoneMatch=put["ETag"])
        self.refused(412, self.put, "one/text", IfNoneMatch="*")
        self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key="one/text")["ContentLength"], 10)
        self.s3.delete_object(Bucket=BUCKET, Key="one/text")
        self.refused(404, self.get, "one/text")

    def test_a_list_comes_in_pages(self):
        keys = [f"list/{number:02}" for number in range(5)]
        for key in keys:
            self.put(key)
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 2}
        )
        pages = list(pages)
        self.assertEqual([entry["Key"] for page in pages for entry in page["Contents"]], keys)
        self.assertEqual(len(pages), 3)
        folders = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="li", Delimiter="/")
        self.assertEqual([entry["Prefix"] for entry in folders["CommonPrefixes"]], ["list/"])
        removed = self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
        self.assertEqual(len(removed["Deleted"]), 5)

    def test_an_object_is_copied(self):
        self.put("copy/from", b"copied")
        self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource={"Bucket": BUCKET, "Key": "copy/from"})
        self.assertEqual(self.get("copy/to")["Body"].read(), b"copied")

    def test_a_large_file_goes_in_parts(self):
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        path = os.path.join(setting("FOLDER"), "large")
        with open(path, "wb") as file:
            file.write(os.urandom(11 * MIB))
        self.s3.upload_file(path, BUCKET, "parts/large", Config=config)
        self.assertRegex(self.s3.head_object(Bucket=BUCKET, Key="parts/large")["ETag"], "-3")
        self.s3.download_file(BUCKET, "parts/large", path + ".back", Config=config)
        with open(path, "rb") as sent, open(path + ".back", "rb") as received:
            self.assertEqual(sent.read(), received.read())

    def test_an_upload_in_parts_is_listed_and_given_up(self):
        made = self.s3.create_multipart_upload(Bucket=BUCKET, Key="parts/left")
        upload = {"Bucket": BUCKET, "Key": "parts/left", "UploadId": made["UploadId"]}
        self.s3.upload_part(**upload, PartNumber=1, Body=b"left")
        self.assertEqual([part["Size"] for part in self.s3.list_parts(**upload)["Parts"]], [4])
        self.s3.abort_multipart_upload(**upload)
        self.refused(404, self.s3.list_parts, **upload)

    def test_a_presigned_url_is_enough(self):
        parameters = {"Bucket": BUCKET, "Key": "signed"}
        put = self.s3.generate_presigned_url("put_object", Params=parameters)
        request = urllib.request.Request(put, data=b"signed", method="PUT")
        self.assertEqual(urllib.request.urlopen(request).status, 200)
        get = self.s3.generate_presigned_url("get_object", Params=parameters)
        self.assertEqual(urllib.request.urlopen(get).read(), b"signed")

    def test_a_wrong_key_is_refused(self):
        other = boto3.client(
            "s3",
            endpoint_url=setting("STORE_URL"),
            aws_access_key_id=setting("STORE_ACCESS_KEY"),
            aws_secret_access_key="another",
            region_name="us-east-1",
        )
        self.refused(403, other.list_objects_v2, Bucket=BUCKET)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
