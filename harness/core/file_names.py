"""The names of the files in a run's directory, each of which stands here alone."""

CONFIG = "config.yaml"
JOURNAL = "journal.jsonl"
NETWORK = "network.json"
PARAMETERS = "parameters.csv"
PREDICTIONS = "predictions.csv"
DATA = "data_copy.npz"  # of small files that the run was given
ORDER = "order_copy.npy"
LEARNING_RATES = "learning_rates_copy.npy"
GIVEN = (DATA, ORDER, LEARNING_RATES)
TRACEBACK = "traceback.txt"
CHECKPOINTS = "checkpoints"  # a folder
WEIGHTS = "weights"  # a folder
INITIAL_WEIGHTS = f"{WEIGHTS}/initial.safetensors"
FINAL_WEIGHTS = f"{WEIGHTS}/final.safetensors"
GRADIENT = f"{WEIGHTS}/gradient.safetensors"
MODEL = "model"  # a folder, with tracking.model=true
MODEL_CODE = f"{MODEL}/serve.py"
MODEL_WEIGHTS = f"{MODEL}/model.npz"
MODEL_FACTS = f"{MODEL}/model.json"
MODEL_TORCH = f"{MODEL}/model.pt2"  # with tracking.flavors=[torch]
MODEL_KERAS = f"{MODEL}/model.keras"  # with tracking.flavors=[keras]
PLOTS = "plots"  # a folder
FETCHED = "resumed_from"  # a folder with files from MLflow of a resumed run that was gone
LOSS_PLOT = f"{PLOTS}/loss.png"
PREDICTIONS_PLOT = f"{PLOTS}/predictions.png"

REPORT = "report"  # a folder in a sweep's directory, with the comparison of its jobs
STUDY = "study.log"  # in a search's directory, where no other storage is given
SEARCH_PLOT = "search.png"  # in the report
PARENT_LOCK = "parent.lock"  # in a sweep's directory
SENT = "mlflow.json"  # how much of the journal MLflow has
SENT_LOCK = "mlflow.lock"  # held by whoever sends the journal to MLflow
