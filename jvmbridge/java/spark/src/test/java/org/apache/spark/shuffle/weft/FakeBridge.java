package org.apache.spark.shuffle.weft;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import weft.bridge.FetchRequest;
import weft.bridge.FetchSink;
import weft.bridge.Share;
import weft.bridge.Shares;
import weft.proto.BlockProto.Reason;

/** Takes fetches, for a test to answer. */
final class FakeBridge {
  final Shares shares = new Shares();
  final BlockingQueue<Call> calls = new LinkedBlockingQueue<>();

  Runnable fetch(FetchRequest request, FetchSink sink) {
    Call call = new Call(request, sink);
    calls.add(call);
    return () -> call.cancelled = true;
  }

  Call next() throws InterruptedException {
    Call call = calls.poll(10, TimeUnit.SECONDS);
    if (call == null) {
      throw new AssertionError("nothing was fetched by weft");
    }
    return call;
  }

  final class Call {
    final FetchRequest request;
    final FetchSink sink;
    volatile boolean cancelled;
    String transport = "mem";

    Call(FetchRequest request, FetchSink sink) {
      this.request = request;
      this.sink = sink;
    }

    void deliver(int block, byte[] bytes) {
      sink.delivered(block, shares.of(bytes), transport);
    }

    /** A block in pieces of this size, but the last {@code omit} bytes. */
    void pieces(int block, byte[] bytes, int size, int omit) {
      int at = 0;
      do {
        int n = Math.min(size, bytes.length - omit - at);
        Share share = shares.of(java.util.Arrays.copyOfRange(bytes, at, at + n));
        sink.piece(block, at, bytes.length, share, transport);
        at += n;
      } while (at < bytes.length - omit);
    }

    void fail(Reason reason, int... blocks) {
      sink.failed(blocks, reason, "why");
    }
  }
}
