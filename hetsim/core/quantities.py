"""Units: inside Python every quantity is an SI float, and its type says which.

Sizes are bytes and rates bytes per second; temperatures stay in degrees Celsius.
Text with other units exists only at the border (`hetsim.spec.units`).
"""

from typing import TypeAlias

Seconds: TypeAlias = float
Joules: TypeAlias = float
Watts: TypeAlias = float
Bytes: TypeAlias = float
Rate: TypeAlias = float
"""Bytes per second."""
JoulesPerByte: TypeAlias = float
Flops: TypeAlias = float
"""Floating-point operations; a multiply-add counts as two."""
Hertz: TypeAlias = float
Cycles: TypeAlias = float
Celsius: TypeAlias = float
Volts: TypeAlias = float
Coulombs: TypeAlias = float
Fraction: TypeAlias = float
"""A share between 0 and 1."""

WATT_HOUR: Joules = 3600.0
"""Joules in a watt-hour, the unit in which batteries are reported."""
