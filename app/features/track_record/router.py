"""What came of forecasts, over HTTP."""
