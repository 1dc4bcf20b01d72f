"""What came of a run: rows, pictures, prompt versions, labels, figures."""
