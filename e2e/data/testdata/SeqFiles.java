import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.SequenceFile;
import org.apache.hadoop.io.SequenceFile.CompressionType;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.hadoop.util.ReflectionUtils;

/** Reads and writes sequence files of images by Hadoop's own classes, as BigDL does. Run as a single source file on Spark's jars. */
class SeqFiles {
  private static final Configuration CONF = new Configuration();

  public static void main(String[] args) throws Exception {
    for (var arg : List.of(args).subList(1, args.length)) {
      switch (args[0]) {
        case "read" -> {
          try {
            System.out.println("ok " + read(new Path(arg)));
          } catch (Throwable t) {
            System.out.println("failed " + t);
          }
        }
        case "write" -> images(new Path(arg, "train/a.seq"), arg.substring(arg.lastIndexOf('.') + 1));
        case "corpus" -> {
          corpus(new Path(arg, "none.seq"), "none");
          corpus(new Path(arg, "deflate.seq"), "DefaultCodec");
          corpus(new Path(arg, "snappy.seq"), "SnappyCodec");
        }
        default -> throw new IllegalArgumentException(args[0]);
      }
    }
  }

  /** Records, sum of labels, SHA-256 over labels, keys and values, and how many records a reader finds that begins in the middle. */
  static String read(Path folder) throws Exception {
    var files = folder.getFileSystem(CONF).listStatus(folder);
    Arrays.sort(files);
    var digest = MessageDigest.getInstance("SHA-256");
    int records = 0, labels = 0, late = 0;
    for (FileStatus file : files) {
      Text key = new Text(), value = new Text();
      try (var reader = new SequenceFile.Reader(CONF, SequenceFile.Reader.file(file.getPath()))) {
        while (reader.next(key, value)) {
          var parts = key.toString().split("\n");
          int label = (int) Float.parseFloat(parts.length == 1 ? parts[0] : parts[1]);
          var image = ByteBuffer.wrap(value.copyBytes());
          int width = image.getInt(), height = image.getInt();
          if (image.remaining() != 3 * width * height) {
            throw new IOException(file + ": " + width + "x" + height + ", " + image.remaining() + " bytes");
          }
          records++;
          labels += label;
          digest.update(ByteBuffer.allocate(4).putInt(label - 1).array());
          digest.update(key.copyBytes());
          digest.update(value.copyBytes());
        }
      }
      try (var reader = new SequenceFile.Reader(CONF, SequenceFile.Reader.file(file.getPath()))) {
        reader.sync(file.getLen() / 2);
        while (reader.next(key, value)) {
          late++;
        }
      }
    }
    return records + " " + labels + " " + HexFormat.of().formatHex(digest.digest()) + " " + late;
  }

  /** Writes a file of five images. */
  static void images(Path file, String codec) throws Exception {
    try (var writer = writer(file, codec)) {
      var random = new Random(1);
      for (int i = 0; i < 5; i++) {
        int width = 300 + i, height = 350;
        var image = ByteBuffer.allocate(8 + 3 * width * height);
        image.putInt(width).putInt(height);
        for (int j = 0; image.hasRemaining(); j++) {
          image.put((byte) (j / 100 + random.nextInt(30)));
        }
        writer.append(new Text(i % 2 == 0 ? String.valueOf(i + 1) : "image " + i + "\n" + (i + 1)), new Text(image.array()));
      }
    }
  }

  /** Writes one of the small files of bigdl/data/seqfile/testdata. */
  static void corpus(Path file, String codec) throws Exception {
    try (var writer = writer(file, codec)) {
      writer.append(new Text("1"), new Text(new byte[] {0, 0, 0, 2, 0, 0, 0, 1, 'A', 'B', 'C', 'D', 'E', 'F'}));
      writer.append(new Text("name\n2"), new Text("weft ".repeat(100)));
      writer.sync();
      writer.append(new Text("3"), new Text(""));
    }
  }

  /** A writer with the given codec; "default" says nothing about compression, as BigDL's generator. */
  static SequenceFile.Writer writer(Path file, String codec) throws Exception {
    SequenceFile.Writer.Option[] options = {
      SequenceFile.Writer.file(file), SequenceFile.Writer.keyClass(Text.class), SequenceFile.Writer.valueClass(Text.class)
    };
    if (!codec.equals("default")) {
      options = Arrays.copyOf(options, 4);
      options[3] = SequenceFile.Writer.compression(CompressionType.NONE);
      if (!codec.equals("none")) {
        var c = (CompressionCodec) ReflectionUtils.newInstance(CONF.getClassByName("org.apache.hadoop.io.compress." + codec), CONF);
        options[3] = SequenceFile.Writer.compression(CompressionType.RECORD, c);
      }
    }
    return SequenceFile.createWriter(CONF, options);
  }
}
