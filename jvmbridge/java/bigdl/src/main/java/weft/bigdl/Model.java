package weft.bigdl;

import com.intel.analytics.bigdl.dllib.models.inception.Inception_v1_NoAuxClassifier;
import com.intel.analytics.bigdl.dllib.models.lenet.LeNet5;
import com.intel.analytics.bigdl.dllib.models.vgg.VggForCifar10;
import com.intel.analytics.bigdl.dllib.nn.abstractnn.AbstractModule;
import java.util.Arrays;
import java.util.stream.Collectors;

/** The models, and what each is trained with unless it is said otherwise. They end in LogSoftMax, with ten classes. */
enum Model {
  /** One layer. */
  SOFTMAX("softmax", Images.MNIST, 0.1, 0, 0) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return new Layers().reshape(28 * 28).linear(28 * 28, CLASSES).logSoftMax().build();
    }
  },
  /** BigDL's own. */
  LENET("lenet", Images.MNIST, 0.05, 0, 0) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return LeNet5.apply(CLASSES);
    }
  },
  /** As Caffe's cifar10_quick: three convolutions of 5x5, the first pooled by maximum, the others by average. */
  CIFAR10_QUICK("cifar10-quick", Images.CIFAR10, 0.01, 0.9, 0.004) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return new Layers()
          .convolution(3, 32, 5, 1, 2, 1)
          .maxPooling(3, 2)
          .relu()
          .convolution(32, 32, 5, 1, 2, 1)
          .relu()
          .averagePooling(3, 2)
          .convolution(32, 64, 5, 1, 2, 1)
          .relu()
          .averagePooling(3, 2)
          .reshape(64 * 4 * 4)
          .linear(64 * 4 * 4, 64)
          .linear(64, CLASSES)
          .logSoftMax()
          .build();
    }
  },
  /** BigDL's own: VGG-16 with batch normalization and two fully connected layers. */
  VGG("vgg", Images.CIFAR10, 0.01, 0.9, 0.0005) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return VggForCifar10.apply(CLASSES, true);
    }
  },
  /** As Caffe's bvlc_alexnet, for ten classes. */
  ALEXNET("alexnet", Images.IMAGENET_227, 0.01, 0.9, 0.0005) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return new Layers()
          .convolution(3, 96, 11, 4, 0, 1)
          .relu()
          .normalization()
          .maxPooling(3, 2)
          .convolution(96, 256, 5, 1, 2, 2)
          .relu()
          .normalization()
          .maxPooling(3, 2)
          .convolution(256, 384, 3, 1, 1, 1)
          .relu()
          .convolution(384, 384, 3, 1, 1, 2)
          .relu()
          .convolution(384, 256, 3, 1, 1, 2)
          .relu()
          .maxPooling(3, 2)
          .reshape(256 * 6 * 6)
          .linear(256 * 6 * 6, 4096)
          .relu()
          .dropout()
          .linear(4096, 4096)
          .relu()
          .dropout()
          .linear(4096, CLASSES)
          .logSoftMax()
          .build();
    }
  },
  /** BigDL's own GoogLeNet, without the auxiliary classifiers. */
  INCEPTION_V1("inception-v1", Images.IMAGENET_224, 0.01, 0.9, 0.0002) {
    @Override
    AbstractModule<?, ?, ?> build() {
      return Inception_v1_NoAuxClassifier.apply(CLASSES, true);
    }
  };

  /** Classes of MNIST, CIFAR-10 and the subset of ImageNet. */
  static final int CLASSES = 10;

  final String word;
  final Images images;
  final double learningRate;
  final double momentum;
  final double weightDecay;

  Model(String word, Images images, double learningRate, double momentum, double weightDecay) {
    this.word = word;
    this.images = images;
    this.learningRate = learningRate;
    this.momentum = momentum;
    this.weightDecay = weightDecay;
  }

  /** A new one, with weights from BigDL's generator of random numbers. */
  abstract AbstractModule<?, ?, ?> build();

  static Model of(String word) {
    return Arrays.stream(values())
        .filter(m -> m.word.equals(word))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "unknown model '" + word + "'; there are "
                        + Arrays.stream(values()).map(m -> m.word).collect(Collectors.joining(", "))));
  }
}
