"""The files of models: checkpoints, backups, history, .dfm and ONNX."""
