"""A real server of the S3 protocol on this machine: moto's, with TLS and with its check of credentials."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.support.polling import eventually
from tests.support.world import docker, free_port

BUCKET = "store"
# Moto asks nobody for credentials before so many calls: those that make the user, its right and the bucket.
_FREE_CALLS = "4"


class Store:
    """The server, where containers reach it. Every start has an empty bucket and other keys."""

    def __init__(self, folder: Path) -> None:
        config = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
        self.address = config.strip()
        self.port = free_port()
        self.certificate, self._key = folder / "store.pem", folder / "store.key"
        self.access_key = self.secret_key = ""
        self._log = folder / "store.log"
        self._server: subprocess.Popen[bytes] | None = None
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store",
             "-addext", f"subjectAltName=IP:{self.address}", "-keyout", self._key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"https://{self.address}:{self.port}"

    def start(self) -> None:
        """Start it with a bucket, and with a user who may do everything."""
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "--host", self.address, "--port", str(self.port),
                 "--ssl-cert", self.certificate, "--ssl-key", self._key],
                env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": _FREE_CALLS}, stdout=log, stderr=log,
            )  # fmt: skip
        eventually(self._answers, "the store to answer", timeout=120)
        self.access_key = self.secret_key = "nobody-asks-yet"
        iam = self.client("iam")
        iam.create_user(UserName="backup")
        made = iam.create_access_key(UserName="backup")["AccessKey"]
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        iam.put_user_policy(UserName="backup", PolicyName="store", PolicyDocument=policy)
        self.client("s3").create_bucket(Bucket=BUCKET)
        self.access_key, self.secret_key = made["AccessKeyId"], made["SecretAccessKey"]

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self._server:
            self._server.terminate()
            self._server.wait(timeout=30)
            self._server = None

    def client(self, service: str) -> Any:
        """A client of the server, independent of the one that is tested."""
        return boto3.client(
            service, endpoint_url=self.url, verify=str(self.certificate), region_name="us-east-1",
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
        )  # fmt: skip

    def objects(self) -> dict[str, int]:
        """The size of everything in the bucket, by key."""
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET)
        return {entry["Key"]: entry["Size"] for entry in listed.get("Contents", [])}

    def read(self, key: str) -> bytes:
        """An object's content."""
        content: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def _answers(self) -> bool:
        # A page of its own: that is no call of an API, and not counted as one.
        trusted = ssl.create_default_context(cafile=self.certificate)
        answer = httpx.get(f"{self.url}/moto-api/data.json", verify=trusted, trust_env=False)
        return answer.status_code == 200


@contextlib.contextmanager
def store(folder: Path) -> Iterator[Store]:
    """A ``Store`` that has started, for as long as the block lasts."""
    own = Store(folder)
    try:
        own.start()
        yield own
    finally:
        own.stop()
