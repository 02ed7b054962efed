package weft.bigdl;

import com.intel.analytics.bigdl.dllib.nn.Dropout;
import com.intel.analytics.bigdl.dllib.nn.Linear;
import com.intel.analytics.bigdl.dllib.nn.LogSoftMax;
import com.intel.analytics.bigdl.dllib.nn.ReLU;
import com.intel.analytics.bigdl.dllib.nn.Reshape;
import com.intel.analytics.bigdl.dllib.nn.Sequential;
import com.intel.analytics.bigdl.dllib.nn.SpatialAveragePooling;
import com.intel.analytics.bigdl.dllib.nn.SpatialConvolution;
import com.intel.analytics.bigdl.dllib.nn.SpatialCrossMapLRN;
import com.intel.analytics.bigdl.dllib.nn.SpatialMaxPooling;
import com.intel.analytics.bigdl.dllib.nn.abstractnn.AbstractModule;
import com.intel.analytics.bigdl.dllib.nn.abstractnn.DataFormat;
import com.intel.analytics.bigdl.dllib.tensor.TensorNumericMath.TensorNumeric;
import scala.Option;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/** BigDL's layers of floats with their defaults, which Scala keeps from Java, one after the other in a model. */
@SuppressWarnings({"rawtypes", "unchecked"})
final class Layers {
  static final ClassTag FLOAT = ClassTag$.MODULE$.Float();
  static final TensorNumeric NUMERIC = numeric();
  private static final DataFormat NCHW = DataFormat.NCHW$.MODULE$;

  private final Sequential model = new Sequential(FLOAT, NUMERIC);

  /** Scala's object NumericFloat, for which javac looks under another name. */
  private static TensorNumeric numeric() {
    try {
      return (TensorNumeric) Class.forName(TensorNumeric.class.getName() + "$NumericFloat$").getField("MODULE$").get(null);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private Layers add(AbstractModule layer) {
    model.add(layer);
    return this;
  }

  AbstractModule build() {
    return model;
  }

  Layers reshape(int... size) {
    return add(new Reshape(size, Option.empty(), FLOAT, NUMERIC));
  }

  Layers convolution(int in, int out, int kernel, int stride, int pad, int groups) {
    return add(
        new SpatialConvolution(
            in, out, kernel, kernel, stride, stride, pad, pad, groups, true, null, null, null, null, null, null, true, NCHW, FLOAT, NUMERIC));
  }

  /** The last window may reach over the edge, as in Caffe. */
  Layers maxPooling(int kernel, int stride) {
    return add(new SpatialMaxPooling(kernel, kernel, stride, stride, 0, 0, NCHW, FLOAT, NUMERIC).ceil());
  }

  /** The last window may reach over the edge, as in Caffe. */
  Layers averagePooling(int kernel, int stride) {
    return add(
        new SpatialAveragePooling(kernel, kernel, stride, stride, 0, 0, false, true, true, true, NCHW, FLOAT, NUMERIC));
  }

  Layers relu() {
    return add(new ReLU(true, FLOAT, NUMERIC));
  }

  Layers normalization() {
    return add(new SpatialCrossMapLRN(5, 1e-4, 0.75, 1.0, NCHW, FLOAT, NUMERIC));
  }

  Layers linear(int in, int out) {
    return add(new Linear(in, out, true, null, null, null, null, null, null, FLOAT, NUMERIC));
  }

  Layers dropout() {
    return add(new Dropout(0.5, false, true, FLOAT, NUMERIC));
  }

  Layers logSoftMax() {
    return add(new LogSoftMax(FLOAT, NUMERIC));
  }
}
