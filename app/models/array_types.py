"""Columns that hold NumPy arrays as bytes: exact, and without a Python object per number."""

from typing import Any

import numpy as np
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from data_pipeline.processing.bar_arrays import DayArray, FloatArray


class Float64Bytes(TypeDecorator[FloatArray]):
    """``bytea`` of little-endian float64, shape ``(n,)``."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> bytes | None:
        return None if value is None else np.ascontiguousarray(value, dtype="<f8").tobytes()

    def process_result_value(self, value: Any, _dialect: Dialect) -> FloatArray | None:
        return None if value is None else np.frombuffer(value, dtype="<f8")


class DayBytes(TypeDecorator[DayArray]):
    """``bytea`` of little-endian int32 days since 1970-01-01, shape ``(n,)``; ``datetime64[D]`` in Python."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> bytes | None:
        return None if value is None else np.asarray(value, dtype="datetime64[D]").astype("<i4").tobytes()

    def process_result_value(self, value: Any, _dialect: Dialect) -> DayArray | None:
        return None if value is None else np.frombuffer(value, dtype="<i4").astype("datetime64[D]")
