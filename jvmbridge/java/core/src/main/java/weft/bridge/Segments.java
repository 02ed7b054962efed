package weft.bridge;

import io.netty.channel.unix.FileDescriptor;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import weft.proto.BridgeProto.AddSegment;
import weft.proto.BridgeProto.SegmentKind;

/**
 * A session's segments. The daemon announces each on one socket and sends its descriptor on the other, in the same order; either
 * may come first. Used on the event loop alone.
 */
final class Segments {
  private final Map<Integer, Segment> mapped = new HashMap<>();
  private final Queue<AddSegment> announced = new ArrayDeque<>();
  private final Queue<FileDescriptor> descriptors = new ArrayDeque<>();

  void announce(AddSegment segment) throws IOException {
    announced.add(segment);
    match();
  }

  /** Takes the descriptor over. */
  void descriptor(FileDescriptor descriptor) throws IOException {
    descriptors.add(descriptor);
    match();
  }

  private void match() throws IOException {
    while (!announced.isEmpty() && !descriptors.isEmpty()) {
      AddSegment segment = announced.remove();
      FileDescriptor descriptor = descriptors.remove();
      try {
        boolean writable = segment.getKind() == SegmentKind.SEGMENT_UPCALL;
        Segment added =
            new Segment(
                segment.getSegment(),
                writable,
                Mapping.map(descriptor.intValue(), segment.getLength(), writable));
        if (mapped.putIfAbsent(added.number(), added) != null) {
          added.release();
          throw new IOException("weft: the daemon used segment " + added.number() + " twice");
        }
      } finally {
        descriptor.close();
      }
    }
  }

  /** A segment was announced whose descriptor has not come yet: what follows may lie in it. */
  boolean waiting() {
    return !announced.isEmpty();
  }

  Segment receive(int number) throws IOException {
    Segment segment = mapped.get(number);
    if (segment == null || segment.writable()) {
      throw new IOException("weft: the daemon delivered into segment " + number + ", which is not there");
    }
    return segment;
  }

  /** An upcall segment, held for the caller; or null. */
  Segment holdUpcall(int number) {
    Segment segment = mapped.get(number);
    return segment != null && segment.writable() && segment.hold() ? segment : null;
  }

  void drop(int number) throws IOException {
    Segment segment = mapped.remove(number);
    if (segment == null) {
      throw new IOException("weft: the daemon dropped segment " + number + ", which is not there");
    }
    segment.release();
  }

  int count() {
    return mapped.size();
  }

  void close() {
    mapped.values().forEach(Segment::release);
    mapped.clear();
    announced.clear();
    for (FileDescriptor d = descriptors.poll(); d != null; d = descriptors.poll()) {
      try {
        d.close();
      } catch (IOException e) {
        // closed is closed
      }
    }
  }
}
