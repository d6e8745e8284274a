"""The figures of the chapters, by what they show: each function takes measured arrays and draws one picture."""
