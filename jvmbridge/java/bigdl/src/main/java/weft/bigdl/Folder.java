package weft.bigdl;

import com.intel.analytics.bigdl.dllib.feature.dataset.ByteRecord;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** A folder with a data set. Records have labels from 1, as BigDL's criterion wants them. */
final class Folder {
  private static final int CIFAR_SIDE = 32;
  private static final int CIFAR_PIXELS = CIFAR_SIDE * CIFAR_SIDE;

  private final Path folder;
  private final FileSystem files;

  Folder(String folder, Configuration conf) throws IOException {
    this.folder = new Path(folder);
    this.files = this.folder.getFileSystem(conf);
  }

  String path(String name) {
    return files.makeQualified(new Path(folder, name)).toString();
  }

  /** Two idx files: images and their labels. */
  ByteRecord[] mnist(boolean train) throws IOException {
    String prefix = train ? "train" : "t10k";
    ByteBuffer images = read(prefix + "-images-idx3-ubyte");
    ByteBuffer labels = read(prefix + "-labels-idx1-ubyte");
    check(images.getInt() == 2051 && labels.getInt() == 2049, "the idx files of " + prefix + " have other magic numbers");
    int n = images.getInt();
    check(labels.getInt() == n, "the idx files of " + prefix + " have different numbers of records");
    int size = images.getInt() * images.getInt();
    check(images.remaining() == n * size && labels.remaining() == n, "the idx files of " + prefix + " have other sizes than they say");
    ByteRecord[] records = new ByteRecord[n];
    for (int i = 0; i < n; i++) {
      byte[] pixels = new byte[size];
      images.get(pixels);
      records[i] = new ByteRecord(pixels, labels.get() + 1);
    }
    return records;
  }

  /** Records of a label and three planes: red, green, blue. BytesToBGRImg wants width and height and the pixels' three bytes together. */
  ByteRecord[] cifar10(boolean train) throws IOException {
    List<ByteRecord> records = new ArrayList<>();
    for (int n = 1; n <= (train ? 5 : 1); n++) {
      String name = train ? "data_batch_" + n + ".bin" : "test_batch.bin";
      ByteBuffer in = read(name);
      check(in.remaining() % (1 + 3 * CIFAR_PIXELS) == 0, name + " is no number of whole records");
      while (in.hasRemaining()) {
        int label = in.get() + 1;
        byte[] planes = new byte[3 * CIFAR_PIXELS];
        in.get(planes);
        ByteBuffer image = ByteBuffer.allocate(8 + planes.length).putInt(CIFAR_SIDE).putInt(CIFAR_SIDE);
        for (int p = 0; p < CIFAR_PIXELS; p++) {
          image.put(planes[2 * CIFAR_PIXELS + p]).put(planes[CIFAR_PIXELS + p]).put(planes[p]);
        }
        records.add(new ByteRecord(image.array(), label));
      }
    }
    return records.toArray(new ByteRecord[0]);
  }

  private ByteBuffer read(String name) throws IOException {
    Path path = new Path(folder, name);
    byte[] bytes = new byte[Math.toIntExact(files.getFileStatus(path).getLen())];
    try (FSDataInputStream in = files.open(path)) {
      in.readFully(bytes);
    }
    return ByteBuffer.wrap(bytes);
  }

  private void check(boolean good, String complaint) throws IOException {
    if (!good) {
      throw new IOException(folder + ": " + complaint + ": see `weft bench data verify`");
    }
  }
}
