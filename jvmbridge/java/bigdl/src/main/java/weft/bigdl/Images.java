package weft.bigdl;

import com.intel.analytics.bigdl.dllib.feature.dataset.AbstractDataSet;
import com.intel.analytics.bigdl.dllib.feature.dataset.ByteRecord;
import com.intel.analytics.bigdl.dllib.feature.dataset.DataSet;
import com.intel.analytics.bigdl.dllib.feature.dataset.DistributedDataSet;
import com.intel.analytics.bigdl.dllib.feature.dataset.Transformer;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BGRImgCropper;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BGRImgNormalizer;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BGRImgNormalizer$;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BGRImgToBatch;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BytesToBGRImg;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.BytesToGreyImg;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.CropCenter$;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.CropRandom$;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.GreyImgNormalizer;
import com.intel.analytics.bigdl.dllib.feature.dataset.image.GreyImgToBatch;
import java.io.IOException;
import org.apache.spark.SparkContext;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * What models are trained on: published data sets in a folder of any Hadoop file system. The normalizing constants are those of BigDL's
 * own examples.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
enum Images {
  MNIST {
    @Override
    AbstractDataSet load(SparkContext sc, Folder folder, boolean train, int batch) throws IOException {
      return chain(
          array(sc, folder.mnist(train)),
          new BytesToGreyImg(28, 28),
          train
              ? new GreyImgNormalizer(LENET.trainMean(), LENET.trainStd())
              : new GreyImgNormalizer(LENET.testMean(), LENET.testStd()),
          new GreyImgToBatch(batch));
    }
  },
  CIFAR10 {
    @Override
    AbstractDataSet load(SparkContext sc, Folder folder, boolean train, int batch) throws IOException {
      return chain(
          array(sc, folder.cifar10(train)),
          new BytesToBGRImg(255f, -1, -1),
          train
              ? BGRImgNormalizer$.MODULE$.apply(VGG.trainMean(), VGG.trainStd())
              : BGRImgNormalizer$.MODULE$.apply(VGG.testMean(), VGG.testStd()),
          new BGRImgToBatch(batch, true));
    }
  },
  IMAGENET_224 {
    @Override
    AbstractDataSet load(SparkContext sc, Folder folder, boolean train, int batch) {
      return imagenet(sc, folder, train, batch, 224);
    }
  },
  IMAGENET_227 {
    @Override
    AbstractDataSet load(SparkContext sc, Folder folder, boolean train, int batch) {
      return imagenet(sc, folder, train, batch, 227);
    }
  };

  private static final com.intel.analytics.bigdl.dllib.models.lenet.Utils$ LENET =
      com.intel.analytics.bigdl.dllib.models.lenet.Utils$.MODULE$;
  private static final com.intel.analytics.bigdl.dllib.models.vgg.Utils$ VGG =
      com.intel.analytics.bigdl.dllib.models.vgg.Utils$.MODULE$;

  /** Mini-batches of the training or the validation set, batch being the records of all executors. */
  abstract AbstractDataSet load(SparkContext sc, Folder folder, boolean train, int batch) throws IOException;

  /** Sequence files in train/ and val/: 8 bytes of width and height, then pixels of blue, green and red. */
  private static AbstractDataSet imagenet(SparkContext sc, Folder folder, boolean train, int batch, int side) {
    return chain(
        DataSet.SeqFileFolder$.MODULE$.files(folder.path(train ? "train" : "val"), sc, Model.CLASSES),
        new BytesToBGRImg(255f, -1, -1),
        new BGRImgCropper(side, side, train ? CropRandom$.MODULE$ : CropCenter$.MODULE$),
        new BGRImgNormalizer(0.485, 0.456, 0.406, 0.229, 0.224, 0.225),
        new BGRImgToBatch(batch, true));
  }

  private static DistributedDataSet array(SparkContext sc, ByteRecord[] records) {
    return DataSet.array(records, sc, ClassTag$.MODULE$.apply(ByteRecord.class));
  }

  private static AbstractDataSet chain(AbstractDataSet data, Transformer... steps) {
    ClassTag any = ClassTag$.MODULE$.apply(Object.class);
    for (Transformer step : steps) {
      data = data.transform(step, any);
    }
    return data;
  }
}
