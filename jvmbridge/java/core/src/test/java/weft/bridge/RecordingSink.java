package weft.bridge;

import java.nio.ByteBuffer;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import weft.proto.BlockProto.Reason;

/** Keeps what a fetch delivers, and counts how often each block ended. */
class RecordingSink implements FetchSink {
  final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
  final AtomicIntegerArray ends;

  RecordingSink(int blocks) {
    this.ends = new AtomicIntegerArray(blocks);
  }

  Event next() throws InterruptedException {
    Event event = events.poll(10, TimeUnit.SECONDS);
    if (event == null) {
      throw new AssertionError("nothing was delivered");
    }
    return event;
  }

  @Override
  public void delivered(int block, Share share, String transport) {
    ends.incrementAndGet(block);
    events.add(new Event(block, 0, share.length(), share, null, transport));
  }

  @Override
  public void piece(int block, long offset, long blockLength, Share share, String transport) {
    if (offset + share.length() == blockLength) {
      ends.incrementAndGet(block);
    }
    events.add(new Event(block, offset, blockLength, share, null, transport));
  }

  @Override
  public void failed(int[] blocks, Reason reason, String detail) {
    for (int block : blocks) {
      ends.incrementAndGet(block);
      events.add(new Event(block, 0, 0, null, reason, detail));
    }
  }

  static final class Event {
    final int block;
    final long offset;
    final long blockLength;
    final Share share;
    final Reason reason;
    final String text;

    Event(int block, long offset, long blockLength, Share share, Reason reason, String text) {
      this.block = block;
      this.offset = offset;
      this.blockLength = blockLength;
      this.share = share;
      this.reason = reason;
      this.text = text;
    }

    byte[] bytes() {
      ByteBuffer view = share.bytes();
      byte[] copy = new byte[view.remaining()];
      view.get(copy);
      return copy;
    }
  }
}
