package weft.bench;

import java.lang.reflect.Field;
import java.lang.reflect.Method;

/** Reaches weft's own classes, which are on the executor's class path but not on the compiler's. */
final class Reflect {
  private Reflect() {}

  static Object call(Object target, String name, Class<?>[] types, Object... args) {
    try {
      Method m = target.getClass().getDeclaredMethod(name, types);
      m.setAccessible(true);
      return m.invoke(target, args);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(target.getClass() + " has no usable method " + name + ": is weft on?", e);
    }
  }

  static Object field(Object target, String name) {
    try {
      Field f = target.getClass().getDeclaredField(name);
      f.setAccessible(true);
      return f.get(target);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(target.getClass() + " has no usable field " + name + ": is weft on?", e);
    }
  }
}
