"""TensorFlow's own operations: what they do to spans.

Code that does not speak to Keras is drawn as a graph (`graph`), and the graph is walked (`walk`): what depends on no
pixel is computed (`values`), everything else goes by the rule of its operation (`table`).
"""
