#!/usr/bin/python3
"""Reads and writes a raftkv cluster with stock gRPC for Python; docs/CLIENTS.md says how to run it.

Usage: example.py HOST:PORT,HOST:PORT,...    the client addresses of members, by number
"""

import pathlib
import sys
import time
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from raftkv.v1 import cluster_pb2, cluster_pb2_grpc, kv_pb2, kv_pb2_grpc

TIMEOUT_S = 10
TRIES = 20
PAUSE_S = 0.25


def channel_to(endpoints, config):
    """All members behind one channel. The configuration says which calls are tried again, and whom they go to."""
    text = (pathlib.Path(__file__).parent / config).read_text(encoding="utf-8")
    return grpc.insecure_channel(f"ipv4:{endpoints}", options=[("grpc.service_config", text)])


def reason_of(error):
    """Why a call was refused, in raftkv's words: the table in README.md."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


def write(call, request):
    """Makes a write under an id of its own: it is done once, however often it takes to hear so."""
    request.request_id = str(uuid.uuid4())
    for _ in range(TRIES - 1):
        try:
            return call(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            # A new cluster takes ids once it knows that no member is older than they are.
            if error.code() != grpc.StatusCode.UNAVAILABLE and reason_of(error) != "MEMBER_TOO_OLD":
                raise
        time.sleep(PAUSE_S)
    return call(request, timeout=TIMEOUT_S)


def main():
    endpoints = sys.argv[1]
    with channel_to(endpoints, "service_config.json") as channel:
        kv = kv_pb2_grpc.KvServiceStub(channel)
        greeting = kv_pb2.PutRequest(key="example/greeting", text="hello", ttl=Duration(seconds=60))
        put = write(kv.Put, greeting)
        answer = kv.Get(kv_pb2.GetRequest(key="example/greeting", as_text=True), timeout=TIMEOUT_S)
        print("get:", answer.kv.text if answer.HasField("kv") else "no such key")

        everything = kv_pb2.KeyRange(prefix="example/")
        listed = kv.List(kv_pb2.ListRequest(range=everything, keys_only=True), timeout=TIMEOUT_S)
        print("list:", *[each.key for each in listed.kvs])

        stale = kv_pb2.PutRequest(key="example/greeting", text="lost")
        stale.precondition.mod_revision = put.mod_revision - 1
        try:
            write(kv.Put, stale)
        except grpc.RpcError as error:
            print("refused:", error.code().name, reason_of(error))

        deleted = write(kv.Delete, kv_pb2.DeleteRequest(key="example/greeting"))
        print("deleted:", "true" if deleted.deleted else "false")

    # Every member takes every call. To save the way from a member to the leader, ask the leader.
    with channel_to(endpoints, "leader_service_config.json") as channel:
        cluster = cluster_pb2_grpc.ClusterServiceStub(channel)
        status = cluster.GetStatus(cluster_pb2.GetStatusRequest(), timeout=TIMEOUT_S, wait_for_ready=True)
        print("leader:", status.name)


if __name__ == "__main__":
    main()
