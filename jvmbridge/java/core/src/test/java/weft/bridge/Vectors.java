package weft.bridge;

import com.google.protobuf.ByteString;
import java.util.LinkedHashMap;
import java.util.Map;
import weft.proto.BlockProto.Blocks;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.AddSegment;
import weft.proto.BridgeProto.Attach;
import weft.proto.BridgeProto.Attached;
import weft.proto.BridgeProto.BlockCopied;
import weft.proto.BridgeProto.BlockOpened;
import weft.proto.BridgeProto.Cancel;
import weft.proto.BridgeProto.CloseBlock;
import weft.proto.BridgeProto.CopyBlock;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.Delivery;
import weft.proto.BridgeProto.DropSegment;
import weft.proto.BridgeProto.Failed;
import weft.proto.BridgeProto.FallbackReport;
import weft.proto.BridgeProto.Fetch;
import weft.proto.BridgeProto.FileRange;
import weft.proto.BridgeProto.Hello;
import weft.proto.BridgeProto.OpenBlock;
import weft.proto.BridgeProto.Refused;
import weft.proto.BridgeProto.RegisterMapOutput;
import weft.proto.BridgeProto.Release;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;
import weft.proto.BridgeProto.UnregisterShuffle;
import weft.proto.BridgeProto.UpcallError;
import weft.proto.BridgeProto.Welcome;

/** One message of every kind, with every field set, and large numbers where the wire has room for them. */
final class Vectors {
  private static final long BIG = 0x7edcba9876543210L;

  private Vectors() {}

  static Map<String, ToDaemon> toDaemon() {
    Map<String, ToDaemon> all = new LinkedHashMap<>();
    all.put("hello", ToDaemon.newBuilder().setHello(
        Hello.newBuilder().setVersion(1).setFeatures(BIG).setAppId("app-20261123-0001").setAppToken(bytes(32))
            .setExecutorId("7").addLocalDirs("/data/1/blockmgr-a").addLocalDirs("/data/2/blockmgr-b")
            .setDriverAddress("driver.example:7078").setSoftwareVersion("weft-spark 0.1.0")).build());
    all.put("attach", ToDaemon.newBuilder().setAttach(
        Attach.newBuilder().setSessionId(BIG).setAttachToken(bytes(16))).build());
    all.put("register_map_output", ToDaemon.newBuilder().setRegisterMapOutput(
        RegisterMapOutput.newBuilder().setShuffleId(3).setMapId(BIG).setDataPath("/data/1/blockmgr-a/0c/shuffle_3_9_0.data")
            .setIndexPath("/data/1/blockmgr-a/30/shuffle_3_9_0.index").setNumPartitions(200)).build());
    all.put("unregister_shuffle", ToDaemon.newBuilder().setUnregisterShuffle(
        UnregisterShuffle.newBuilder().setShuffleId(Integer.MAX_VALUE)).build());
    all.put("fetch", ToDaemon.newBuilder().setFetch(
        Fetch.newBuilder().setRequestId(BIG).addPeerAddress("10.1.0.2").addPeerAddress("fd00::2").setPeerPort(65535)
            .setPeerDaemonId(bytes(16)).setExecutorId("driver")
            .setBlocks(Blocks.newBuilder().addShuffleId(3).addMapId(BIG).addReduceStart(5).addReduceEnd(6)
                .addShuffleId(3).addMapId(0).addReduceStart(0).addReduceEnd(1000000)
                .addName("broadcast_1_piece0").addName("test_2weightBytes1"))
            .setDelivery(Delivery.DELIVERY_PIECES).setTimeoutMs(30000)).build());
    all.put("cancel", ToDaemon.newBuilder().setCancel(Cancel.newBuilder().setRequestId(BIG)).build());
    all.put("release", ToDaemon.newBuilder().setRelease(
        Release.newBuilder().addLease(BIG).addCount(100).addLease(2).addCount(1)).build());
    all.put("block_opened_inline", ToDaemon.newBuilder().setBlockOpened(
        BlockOpened.newBuilder().setUpcallId(1).setInline(bytes(40))).build());
    all.put("block_opened_empty", ToDaemon.newBuilder().setBlockOpened(
        BlockOpened.newBuilder().setUpcallId(1).setInline(ByteString.EMPTY)).build());
    all.put("block_opened_length", ToDaemon.newBuilder().setBlockOpened(
        BlockOpened.newBuilder().setUpcallId(2).setLength(5L << 32)).build());
    all.put("block_opened_file", ToDaemon.newBuilder().setBlockOpened(
        BlockOpened.newBuilder().setUpcallId(3).setFile(
            FileRange.newBuilder().setPath("/data/1/x").setOffset(1L << 33).setLength(3L << 30))).build());
    all.put("block_opened_error", ToDaemon.newBuilder().setBlockOpened(
        BlockOpened.newBuilder().setUpcallId(4).setError(
            UpcallError.newBuilder().setReason(Reason.REASON_NOT_FOUND).setDetail("rdd_1_2"))).build());
    all.put("block_copied", ToDaemon.newBuilder().setBlockCopied(BlockCopied.newBuilder().setUpcallId(5)).build());
    all.put("block_copied_error", ToDaemon.newBuilder().setBlockCopied(
        BlockCopied.newBuilder().setUpcallId(5).setError("the block has grown")).build());
    all.put("block_copied_checksum", ToDaemon.newBuilder().setBlockCopied(
        BlockCopied.newBuilder().setUpcallId(5).setChecksum(0x5a9136aa)).build());
    all.put("fallback_report", ToDaemon.newBuilder().setFallbackReport(
        FallbackReport.newBuilder().setReason(Reason.REASON_DISABLED).setBlocks(BIG).setBytes(BIG)).build());
    return all;
  }

  static Map<String, ToJvm> toJvm() {
    Map<String, ToJvm> all = new LinkedHashMap<>();
    all.put("welcome", ToJvm.newBuilder().setWelcome(
        Welcome.newBuilder().setVersion(1).setFeatures(BIG).setSessionId(BIG).setAttachToken(bytes(16)).setDaemonId(bytes(16))
            .addPeerAddress("10.1.0.1").addPeerAddress("fd00::1").setPeerPort(7400).setMaxLeaseBytes(1 << 30)
            .setSoftwareVersion("weft 0.1.0").setRdmaDevice("rxe0").setRdmaSoftware(true)).build());
    all.put("refused", ToJvm.newBuilder().setRefused(Refused.newBuilder().setDetail("another token: use one driver")).build());
    all.put("attached", ToJvm.newBuilder().setAttached(Attached.getDefaultInstance()).build());
    all.put("add_segment", ToJvm.newBuilder().setAddSegment(
        AddSegment.newBuilder().setSegment(0x7fffffff).setKind(SegmentKind.SEGMENT_UPCALL).setLength(1 << 30)).build());
    all.put("add_segment_zero", ToJvm.newBuilder().setAddSegment(AddSegment.newBuilder().setLength(4096)).build());
    all.put("delivered", ToJvm.newBuilder().setDelivered(
        Delivered.newBuilder().setRequestId(BIG).setLease(BIG).setSegment(2).addBlock(0).addOffset(0).addLength(1000)
            .addBlock(2).addOffset(1024).addLength(1 << 20).addBlock(1).addOffset(0).addLength(0).setTransport("tcp")).build());
    all.put("delivered_inline", ToJvm.newBuilder().setDelivered(
        Delivered.newBuilder().setRequestId(9).addBlock(0).addOffset(0).addLength(40).setBlockLength(40).setTransport("tcp")
            .setInline(bytes(40))).build());
    all.put("delivered_piece", ToJvm.newBuilder().setDelivered(
        Delivered.newBuilder().setRequestId(9).setLease(10).setSegment(2).addBlock(0).addOffset(4096).addLength(1 << 20)
            .setPieceOffset(3L << 32).setBlockLength(4L << 32).setTransport("mem")).build());
    all.put("failed", ToJvm.newBuilder().setFailed(
        Failed.newBuilder().setRequestId(BIG).addBlock(0).addBlock(300).setReason(Reason.REASON_CHECKSUM).setDetail("shuffle_1_2_3")).build());
    all.put("open_block", ToJvm.newBuilder().setOpenBlock(OpenBlock.newBuilder().setUpcallId(BIG).setName("test_3gradientBytes1")).build());
    all.put("copy_block", ToJvm.newBuilder().setCopyBlock(
        CopyBlock.newBuilder().setUpcallId(BIG).setSegment(3).setOffset((1 << 30) - 1)).build());
    all.put("copy_block_checksum", ToJvm.newBuilder().setCopyBlock(
        CopyBlock.newBuilder().setUpcallId(1).setSegment(3).setOffset(4096).setChecksum(true)).build());
    all.put("close_block", ToJvm.newBuilder().setCloseBlock(CloseBlock.newBuilder().setUpcallId(BIG)).build());
    all.put("drop_segment", ToJvm.newBuilder().setDropSegment(DropSegment.newBuilder().setSegment(3)).build());
    return all;
  }

  /** 0, 1, 2... */
  private static ByteString bytes(int n) {
    byte[] b = new byte[n];
    for (int i = 0; i < n; i++) {
      b[i] = (byte) i;
    }
    return ByteString.copyFrom(b);
  }
}
