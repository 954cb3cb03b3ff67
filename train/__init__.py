"""Data set -> baseline -> folded model -> QAT model. Runs every Keras model.

TensorFlow and tf_keras are imported inside functions only: reading a data set or a recipe needs neither.
"""
