"""Write vectors_split.root and vectors_unsplit.root with ROOT itself (pip install ROOT; 6.40 was used), which uproot cannot write."""

import ROOT

ROOT.gInterpreter.Declare("""
#include <Math/Vector4D.h>
#include <TFile.h>
#include <TLorentzVector.h>
#include <TTree.h>
#include <TVector3.h>
void make(const char* name, int split, int rows) {
  TFile file(name, "RECREATE", "", 109);
  TTree tree("tree", "tree");
  TLorentzVector* p4 = new TLorentzVector();
  TVector3* v3 = new TVector3();
  std::vector<TVector3> tracks;
  ROOT::Math::PtEtaPhiMVector pem;
  int label;
  tree.Branch("p4", &p4, 2000, split);
  tree.Branch("v3", &v3, 2000, split);
  tree.Branch("tracks", &tracks, 2000, split);
  tree.Branch("pem", &pem, 2000, split);
  tree.Branch("label", &label);
  for (int i = 0; i < rows; i++) {
    label = i % 2;
    p4->SetPtEtaPhiM(50 + i, 0.1 * (i % 20), 0.3, 5);
    v3->SetXYZ(i, 2 * i, 3 * i);
    tracks.clear();
    for (int j = 0; j < i % 4; j++) tracks.push_back(TVector3(i + j, j, 1));
    pem.SetCoordinates(40 + i, 1, 0.5, 3);
    tree.Fill();
  }
  tree.Write();
}
""")
ROOT.make("vectors_unsplit.root", 0, 300)
ROOT.make("vectors_split.root", 99, 300)
