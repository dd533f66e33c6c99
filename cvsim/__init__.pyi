"""The public names: the only list of them (see ``__init__.py``)."""

from cvsim.actions.apply import Applied as Applied, Outcome as Outcome
from cvsim.actions.plan import Entry as Entry, Plan as Plan
from cvsim.actions.undo import Restored as Restored, Undone as Undone
from cvsim.api.compared import Compared as Compared
from cvsim.api.fetching import fetch_dataset as fetch_dataset
from cvsim.api.index import Index as Index
from cvsim.api.pictures import compare as compare, dedupe as dedupe, prefilter as prefilter
from cvsim.api.plans import apply as apply, undo as undo
from cvsim.api.product_results import (
    Classified as Classified,
    Clusters as Clusters,
    Drawing as Drawing,
    FeatureTable as FeatureTable,
    Trained as Trained,
    TrainedNetwork as TrainedNetwork,
)
from cvsim.api.products import (
    classify as classify,
    cluster as cluster,
    train as train,
    train_network as train_network,
)
from cvsim.api.report import Report as Report
from cvsim.api.vectors import evaluate as evaluate, extract_features as extract_features, plot as plot
from cvsim.errors import (
    ActionError as ActionError,
    CvsimError as CvsimError,
    DamagedStoreError as DamagedStoreError,
    DecodeError as DecodeError,
    FetchError as FetchError,
    ImageError as ImageError,
    MemoryNotAllowedError as MemoryNotAllowedError,
    MissingExtraError as MissingExtraError,
    NotAnImageError as NotAnImageError,
    RemoteError as RemoteError,
    SettingsError as SettingsError,
    StoreError as StoreError,
    TooLargeError as TooLargeError,
    UsageError as UsageError,
    WrongStoreError as WrongStoreError,
)
from cvsim.features.base import Feature as Feature
from cvsim.fetch.dataset import FetchOutcome as FetchOutcome, FetchResult as FetchResult
from cvsim.groups.evaluation import Evaluation as Evaluation
from cvsim.products.estimators import (
    ProductClassifier as ProductClassifier,
    ProductClusterer as ProductClusterer,
    ProductMetric as ProductMetric,
)
from cvsim.progress import Progress as Progress
from cvsim.recipes.index import IndexReport as IndexReport
from cvsim.recipes.prefilter import CandidatePair as CandidatePair, Prefiltered as Prefiltered
from cvsim.recipes.search import Query as Query
from cvsim.settings import ScanSettings as ScanSettings, Settings as Settings
from cvsim.types import (
    Comparison as Comparison,
    Counts as Counts,
    DedupeResult as DedupeResult,
    Group as Group,
    Hit as Hit,
    ImageRecord as ImageRecord,
    Member as Member,
    Pair as Pair,
    ScoredPair as ScoredPair,
    Skipped as Skipped,
)

__version__: str
